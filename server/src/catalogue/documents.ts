import type { FlowProblem, FlowView, Json, PlanDraft } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import { AppError, actorOf, type Clock, digestOf, type Principal } from '../core/index.ts'
import type { Store } from '../store/index.ts'
import type { Plan } from '../workflow/index.ts'
import { type Flow, flowViewOf } from './catalogue.ts'
import { type FlowDocument, shapeOfInputs, withInputs } from './document.ts'
import {
  type DocumentRow,
  insertDocument,
  newestVersion,
  readDocuments,
  removeDocument,
} from './documents-store.ts'
import type { ReadDocument } from './read-document.ts'

/** Flows that somebody wrote as a document and saved here. */
export type FlowDocuments = {
  flows(): Promise<readonly Flow[]>
  /** Every fault with its place, without saving. */
  validate(text: string): Promise<FlowProblem[]>
  /** Throws `flow.invalid` with the faults, and `request.conflict` when `after` is not the newest version. */
  save(wanted: { name: string; text: string; after?: number | undefined }, by: Principal): Promise<FlowView>
  /** Throws `flow.not_found`. */
  remove(name: string, by: Principal): Promise<void>
}

type Needs = {
  store: Pick<Store, 'write' | 'all' | 'get'>
  audit: Pick<Audit, 'record'>
  bus: Pick<Bus, 'publish'>
  clock: Pick<Clock, 'now'>
  /** Names of the flows in code, which no document may take. */
  taken: readonly string[]
  /** Makes a draft whole by what its actions say of themselves; throws what speaks against it for who asks. */
  completed(draft: PlanDraft, by: Principal): Promise<Plan>
  /** Plans another flow, for a document that uses one. */
  planOf(name: string, input: Json, by: Principal): Promise<Plan>
}

/** Who saves no flows never needs what reads them. */
const readDocument = async (text: string): Promise<ReadDocument> =>
  (await import('./read-document.ts')).readDocument(text)

/** A document may use one that uses another, but not without end. */
const deepest = 5

export function createFlowDocuments(needs: Needs): FlowDocuments {
  const { store, audit, bus, clock } = needs

  async function flowOf(row: DocumentRow): Promise<Flow[]> {
    const { document } = await readDocument(row.text)
    // One that an older version accepted and this one does not: it is still there to be read and saved anew.
    return document ? [flowFrom(row, document)] : []
  }

  function flowFrom(row: DocumentRow, document: FlowDocument): Flow {
    const { name, text, version, saved_by: savedBy } = row
    return {
      name,
      title: document.title,
      goals: document.goals,
      input: shapeOfInputs(document),
      plan: (input, by) => planned(name, document, input, by),
      document: { text, version: Number(version), savedBy, savedAt: new Date(Number(row.saved_at)) },
    }
  }

  async function planned(flow: string, document: FlowDocument, input: Json, by: Principal): Promise<Plan> {
    const given = input as Record<string, Json>
    if (document.uses === undefined) {
      const tasks = withInputs(document.tasks ?? [], given)
      return needs.completed({ version: 1, flow, title: document.title, input, tasks }, by)
    }
    await assertEnds(flow, document.uses)
    const plan = await needs.planOf(document.uses, withInputs(document.with ?? {}, given), by)
    return { ...plan, flow, title: `${document.title}: ${plan.title}`, input }
  }

  async function assertEnds(flow: string, first: string): Promise<void> {
    const rows = await readDocuments(store)
    let name: string | undefined = first
    for (let depth = 0; name !== undefined; depth++) {
      const row = rows.find((one) => one.name === name)
      if (depth === deepest)
        throw new AppError('run.plan_invalid', `flow '${flow}' uses flows that use others without end`)
      name = row && (await readDocument(row.text)).document?.uses
    }
  }

  return {
    flows: async () => (await Promise.all((await readDocuments(store)).map(flowOf))).flat(),
    validate: async (text) => [...(await readDocument(text)).problems],
    async save({ name, text, after }, by) {
      const { document, problems } = await readDocument(text)
      if (needs.taken.includes(name))
        throw new AppError('flow.invalid', `'${name}' is a flow of Keyward's own; choose another name`)
      if (!document) {
        const places = problems.slice(0, 5).map((one) => `${one.line}:${one.column}: ${one.message}`)
        throw new AppError('flow.invalid', places.join('; '))
      }
      return store.write(async (tx) => {
        const before = await newestVersion(tx, name)
        if (after !== undefined && after !== before)
          throw new AppError('request.conflict', `flow '${name}' has version ${before}, not ${after}`)
        const row: DocumentRow = {
          name,
          text,
          version: before + 1,
          saved_by: actorOf(by),
          saved_at: clock.now().getTime(),
        }
        await insertDocument(tx, row)
        const detail = { version: row.version, digest: digestOf(text) }
        await tell(tx, 'flow.saved', name, by, detail)
        return flowViewOf(flowFrom(row, document))
      })
    },
    remove: (name, by) =>
      store.write(async (tx) => {
        if (!(await removeDocument(tx, name, clock.now().getTime())))
          throw new AppError('flow.not_found', `no flow '${name}' was saved here`)
        await tell(tx, 'flow.removed', name, by, {})
      }),
  }

  async function tell(
    tx: Parameters<typeof insertDocument>[0],
    type: 'flow.saved' | 'flow.removed',
    name: string,
    by: Principal,
    detail: { version?: number; digest?: string },
  ): Promise<void> {
    const target = `flow:${name}`
    await audit.record(tx, { type, outcome: 'done', actor: actorOf(by), target, detail })
    await bus.publish(tx, { type, subject: target, data: detail })
  }
}
