import { isIP } from 'node:net'
import { AppError, parseReference } from '../../core/index.ts'

/** Which language model is asked, and where. */
export type ModelSettings = {
  /** Base of an API that is compatible with OpenAI's: `https://api.openai.com/v1`. */
  readonly url: string
  readonly model: string
  /** Where the vault has the key; undefined for a model that wants none. */
  readonly key: { readonly path: string; readonly field: string } | undefined
  readonly timeoutMilliseconds: number
}

type Environment = Readonly<Record<string, string | undefined>>

const defaultSeconds = 60
const mostSeconds = 600

/** From the environment; undefined without an address. Throws `request.invalid` for what makes no sense. */
export function modelSettings(env: Environment): ModelSettings | undefined {
  const url = env['KEYWARD_PLANNER_URL']
  if (!url) return undefined
  const model = env['KEYWARD_PLANNER_MODEL']
  if (!model) throw wrong('KEYWARD_PLANNER_MODEL is missing: it names the model to ask')
  const timeout = Number(env['KEYWARD_PLANNER_TIMEOUT'] || defaultSeconds)
  if (!Number.isInteger(timeout) || timeout < 1 || timeout > mostSeconds)
    throw wrong(`KEYWARD_PLANNER_TIMEOUT is no number of seconds from 1 to ${mostSeconds}`)
  return {
    url: checkedAddress(url),
    model,
    key: keyOf(env['KEYWARD_PLANNER_KEY']),
    timeoutMilliseconds: timeout * 1000,
  }
}

function checkedAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol))
    throw wrong('KEYWARD_PLANNER_URL is no address that begins with https://')
  if (url.username !== '' || url.password !== '' || url.search !== '')
    throw wrong(
      'KEYWARD_PLANNER_URL holds more than an address. Put a key into the vault: KEYWARD_PLANNER_KEY',
    )
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    throw wrong('KEYWARD_PLANNER_URL is plain HTTP. Only a model on this machine is asked without TLS')
  return url.href.replace(/\/+$/, '')
}

function isLoopback(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/g, '')
  return bare === 'localhost' || bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'))
}

/** What stands there is not repeated: it may be a key where a reference was meant. */
function keyOf(text: string | undefined): ModelSettings['key'] {
  if (!text) return undefined
  try {
    const { mount, path, field } = parseReference(text)
    return { path: `${mount}/${path}`, field }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    throw wrong(
      'KEYWARD_PLANNER_KEY is no reference like keyward://secret/planner#key; a key belongs into the vault',
    )
  }
}

const wrong = (what: string): AppError =>
  new AppError('request.invalid', `${what}. The server was not started.`)
