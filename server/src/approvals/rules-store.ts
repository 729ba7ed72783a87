import { type ApprovalRule, approvalRule, type Risk } from '@keyward/contract'
import { type Migration, type Reader, sql, type Tx } from '../store/index.ts'

export const rulesMigration: Migration = {
  id: '0072-approval-rules',
  up: () => ['create table approval_rules (risk text primary key, rule text not null)'],
}

export async function readRule(reader: Reader, risk: Risk): Promise<ApprovalRule | undefined> {
  const row = await reader.get<{ rule: string }>(sql`select rule from approval_rules where risk = ${risk}`)
  return row && approvalRule.parse(JSON.parse(row.rule))
}

export async function writeRule(tx: Tx, rule: ApprovalRule): Promise<void> {
  await tx.run(sql`insert into approval_rules (risk, rule) values (${rule.risk}, ${JSON.stringify(rule)})
    on conflict (risk) do update set rule = excluded.rule`)
}
