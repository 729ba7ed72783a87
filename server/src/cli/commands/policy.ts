import { api } from '@keyward/contract'
import type { Command } from 'commander'
import { AppError } from '../../core/index.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import type { CommandNeeds } from '../needs.ts'
import { printableLines } from '../printable.ts'
import { renderTable } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>

export const policyCommand = (needs: Needs): Command =>
  commandGroup('policy', 'The policies in force', [
    listCommand(needs),
    showCommand(needs),
    schemaCommand(needs),
  ])

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'list',
    summary: 'Names of the policy files in force',
    examples: ['keyward policy list', 'keyward policy list --json | jq -r .policies[].name'],
  }).action(async (options: CommonOptions) => {
    const answer = await (await connect(needs, options)).call(api.system.policies, {})
    if (options.json) return terminal.json(answer)
    const columns = [
      { title: 'name', value: ({ name }: { name: string }) => name },
      { title: 'origin', value: ({ origin }: { origin: string }) => origin },
      { title: 'lines', value: ({ text }: { text: string }) => text.trimEnd().split('\n').length },
    ]
    terminal.write(renderTable(columns, answer.policies, terminal.columns))
  })
}

function showCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'show <name>',
    summary: 'The text of one policy file, in Cedar',
    examples: ['keyward policy show solo'],
  }).action(async (name: string, options: CommonOptions) => {
    const { policies } = await (await connect(needs, options)).call(api.system.policies, {})
    const policy = policies.find((each) => each.name === name)
    if (!policy)
      throw new AppError('request.not_found', `there is no policy ${name}. See: keyward policy list`)
    if (options.json) return terminal.json(policy)
    terminal.write(`${printableLines(policy.text.trimEnd())}\n`)
  })
}

function schemaCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'schema',
    summary: 'The Cedar schema that every policy is checked against',
    examples: ['keyward policy schema > keyward.cedarschema'],
  }).action(async (options: CommonOptions) => {
    const { schema } = await (await connect(needs, options)).call(api.system.policies, {})
    if (options.json) return terminal.json({ schema })
    terminal.write(`${printableLines(schema.trimEnd())}\n`)
  })
}
