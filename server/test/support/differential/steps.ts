import { differencesBetween } from './compare.ts'
import type { Heard, Sent, Twin, Twins } from './twins.ts'

/** What a request carries beside its body. */
export type Extras = {
  /** The name of what was kept, or nothing for no token at all; the root token when absent. */
  readonly as?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Names for later steps: where in the answer each stands. */
  readonly keep?: Readonly<Record<string, string>>
  /** The body as it goes on the wire, when it is no JSON. */
  readonly raw?: string
  /** What is told is about the machine or the server: only status and headers are compared. */
  readonly briefly?: boolean
}
/** `METHOD path`, a body, the rest. `<name>` in any text is what was kept of this server's own answers. */
export type Step = readonly [request: string, body?: unknown, extras?: Extras]
export type Sequence = { readonly name: string; readonly steps: readonly Step[] }

export type Difference = { readonly at: string; readonly found: readonly string[] }

/** Sends each step to both and tells where the answers are not the same. */
export async function differencesOf(twins: Twins, { steps }: Sequence): Promise<Difference[]> {
  const kept = { theirs: new Map<string, string>(), ours: new Map<string, string>() }
  const differences: Difference[] = []
  for (const step of steps) {
    const [theirs, ours] = await Promise.all([
      take(twins.theirs, step, kept.theirs),
      take(twins.ours, step, kept.ours),
    ])
    const found = differencesBetween(theirs, ours, step[0].startsWith('HEAD ') || step[2]?.briefly === true)
    if (found.length > 0) differences.push({ at: nameOf(step), found })
  }
  return differences
}

/** A step as the table of exceptions names it. */
export function nameOf([asked, body, extras]: Step): string {
  const sent = extras?.raw ?? (body === undefined ? '' : JSON.stringify(body))
  const by = extras?.as === undefined ? '' : ` as ${extras.as || 'nobody'}`
  const headers = extras?.headers ? ` ${JSON.stringify(extras.headers)}` : ''
  const text = `${asked}${sent === '' ? '' : ` ${sent}`}${by}${headers}`
  return text.length > 160 ? `${text.slice(0, 157)}…` : text
}

async function take(twin: Twin, step: Step, kept: Map<string, string>): Promise<Heard> {
  const heard = await twin.send(sentBy(twin, step, kept))
  const body = parsed(heard.text)
  for (const [name, place] of Object.entries(step[2]?.keep ?? {})) {
    const value = valueAt(body, place)
    kept.set(name, typeof value === 'string' ? value : JSON.stringify(value ?? null))
  }
  return heard
}

function sentBy(twin: Twin, [asked, body, extras = {}]: Step, kept: ReadonlyMap<string, string>): Sent {
  const fill = (text: string): string => text.replaceAll(/<(\w+)>/g, (all, name) => kept.get(name) ?? all)
  const space = asked.indexOf(' ')
  const { as, headers = {}, raw } = extras
  const text = raw ?? (body === undefined ? undefined : JSON.stringify(body))
  return {
    method: asked.slice(0, space),
    path: fill(asked.slice(space + 1)),
    token: as === undefined ? twin.token : as === '' ? undefined : fill(as),
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, fill(value)])),
    text: text === undefined ? undefined : fillJson(text, fill),
  }
}

/** A kept value may hold line breaks, as certificates do. */
const fillJson = (text: string, fill: (text: string) => string): string =>
  text.replaceAll(/<\w+>/g, (name) => JSON.stringify(fill(name)).slice(1, -1))

export function parsed(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return text
  }
}

function valueAt(body: unknown, place: string): unknown {
  let at = body
  for (const key of place.split('.')) at = Object(at)[key]
  return at
}
