import type { Json, PlanDraft } from '@keyward/contract'
import type { Audit } from '../../audit/index.ts'
import type { Bus } from '../../bus/index.ts'
import { AppError, actorOf, type Principal, type Secret } from '../../core/index.ts'
import type { Flows } from '../../flows/index.ts'
import type { Store } from '../../store/index.ts'
import type { Vault } from '../../vault/index.ts'
import type { Plan } from '../../workflow/index.ts'
import { type ModelAnswer, printable, readAnswer, unusable } from './answer.ts'
import type { Chat, Message, Said } from './chat.ts'
import { type Choice, type ChoiceNeeds, choiceOf, instructions, questionOf } from './choice.ts'
import type { ModelSettings } from './settings.ts'

/** What a model proposed, checked as anybody's plan is. */
export type ModelProposal = {
  readonly model: string
  readonly flow: string
  readonly title: string
  readonly input: Json
  /** Tasks of its own; null where it chose a flow. */
  readonly draft: PlanDraft | null
  readonly plan: Plan
}

/** That it cannot be done with what there is, and why. */
type Declined = { readonly model: string; readonly declined: string }

/** Proposes for words that no rule knows. Throws `goal.model_failed` when nothing of what it says can be used. */
export type ModelPlanner = (text: string, by: Principal, goalId: string) => Promise<ModelProposal | Declined>

type Needs = ChoiceNeeds & {
  settings: Pick<ModelSettings, 'model' | 'key' | 'url'>
  chat: Chat
  store: Pick<Store, 'write'>
  audit: Pick<Audit, 'recordNow' | 'record'>
  bus: Pick<Bus, 'publish'>
  vault: { kv: Pick<Vault['kv'], 'read'> }
  flows: Pick<Flows, 'all' | 'plan' | 'completed'>
}

/** The first answer, and two more in which it mends what was wrong with those before. */
const mostAnswers = 3
/** Each question costs; what comes at the same time is refused, and may be said again. */
const mostAtOnce = 2

export function createModelPlanner(needs: Needs): ModelPlanner {
  const { settings, chat, store, audit, bus, vault, flows } = needs
  let atWork = 0

  const entryOf = ({ by, goalId }: Asking) => ({
    type: 'goal.model_asked' as const,
    actor: actorOf(by),
    target: `model:${settings.model}`,
    correlation: goalId,
  })

  async function keyFor(asking: Asking): Promise<Secret | undefined> {
    const { key, url } = settings
    const { hostname, port, protocol } = new URL(url)
    const server = `${hostname}:${port || (protocol === 'http:' ? 80 : 443)}`
    const detail = { secretPath: key?.path ?? null, server }
    await audit.recordNow({ ...entryOf(asking), outcome: 'intent', detail })
    if (!key) return undefined
    const { data = {} } = (await vault.kv.read(key.path)) ?? {}
    const value = Object.hasOwn(data, key.field) ? data[key.field] : undefined
    if (!value)
      throw unusable(
        `${key.path} has no field '${key.field}': KEYWARD_PLANNER_KEY says that the key is there`,
      )
    return value
  }

  /** Checked with the requester's rights; what is wrong is thrown in words that the model can mend it by. */
  async function proposalOf(
    answer: ModelAnswer,
    { text, choice, by }: { text: string; choice: Choice; by: Principal },
  ): Promise<ModelProposal | Declined> {
    const { model } = settings
    if (answer.kind === 'none') return { model, declined: answer.why }
    if (answer.kind === 'flow') {
      const { flow, input } = answer
      const found = choice.flows.find(({ name }) => name === flow)
      if (!found) throw unusable(`there is no flow '${flow}' among those listed`)
      const plan = await flows.plan({ flow, input, by })
      return { model, flow, title: found.title, input, draft: null, plan }
    }
    assertListed(answer.tasks, choice)
    const draft: PlanDraft = { version: 1, flow: 'plan', title: text, input: {}, tasks: answer.tasks }
    return { model, flow: draft.flow, title: text, input: {}, draft, plan: await flows.completed(draft, by) }
  }

  async function tell(asking: Asking, { spent, error }: { spent: Spent; error?: unknown }): Promise<void> {
    const outcome = error === undefined ? 'done' : 'failed'
    const code = error instanceof AppError ? { code: error.code } : {}
    await store.write(async (tx) => {
      await audit.record(tx, { ...entryOf(asking), outcome, detail: { ...spent, ...code } })
      await bus.publish(tx, {
        type: 'goal.model_asked',
        subject: `model:${settings.model}`,
        data: { ...spent, outcome, goalId: asking.goalId },
      })
    })
  }

  async function ask(text: string, asking: Asking, spent: Spent): Promise<ModelProposal | Declined> {
    const { by } = asking
    const choice = await choiceOf(needs, await flows.all(), by)
    const key = await keyFor(asking)
    const messages: Message[] = [{ role: 'user', content: questionOf(text, choice) }]
    for (;;) {
      const said = await chat({ instructions, messages, key })
      count(spent, said)
      try {
        return await proposalOf(readAnswer(said.text), { text, choice, by })
      } catch (error) {
        const why = mendable(error)
        if (spent.answers === mostAnswers)
          throw unusable(
            `${settings.model} gave ${spent.answers} answers, none of which can be used. The last: ${why}`,
          )
        messages.push({ role: 'assistant', content: said.text.slice(0, longestRepeated) })
        messages.push({
          role: 'user',
          content: `That is refused: ${why}. Answer again with the whole JSON object.`,
        })
      }
    }
  }

  return async (text, by, goalId) => {
    if (atWork >= mostAtOnce)
      throw unusable(`${settings.model} is asked for others at the moment: say the goal again`)
    const spent: Spent = { answers: 0, inputTokens: 0, outputTokens: 0 }
    atWork += 1
    try {
      const proposal = await ask(text, { by, goalId }, spent)
      await tell({ by, goalId }, { spent })
      return proposal
    } catch (error) {
      await tell({ by, goalId }, { spent, error })
      throw error
    } finally {
      atWork -= 1
    }
  }
}

const longestRepeated = 8000

/** The model hears what is wrong with its answer, and nothing of what the server read to find out. */
function mendable(error: unknown): string {
  if (!(error instanceof AppError)) throw error
  const { code, message, detail } = error
  const own = code === 'goal.model_failed' || code === 'run.plan_invalid'
  return printable(own && detail ? detail : `${code}: ${message}`)
}

type Asking = { readonly by: Principal; readonly goalId: string }
type Spent = { answers: number; inputTokens: number; outputTokens: number }

function count(spent: Spent, { inputTokens, outputTokens }: Said): void {
  spent.answers += 1
  spent.inputTokens += inputTokens ?? 0
  spent.outputTokens += outputTokens ?? 0
}

function assertListed(tasks: PlanDraft['tasks'], { actions }: Choice): void {
  for (const { id, action = '', args } of tasks) {
    const known = actions.get(action)
    if (!known) throw unusable(`task '${id}': there is no action '${action}' among those listed`)
    const { connection } = Object(args) as { connection?: Json }
    if (typeof connection !== 'string' || !known.connections.has(connection))
      throw unusable(`task '${id}': args.connection is none of ${[...known.connections].join(', ')}`)
  }
}
