import type { InputOf, Operation, ResultOf } from '@keyward/contract'
import type { Principal } from '../core/index.ts'
import type { Facts, ResourceType } from '../policy/index.ts'

/** What a handler knows of the call besides its input. */
export type Call = {
  readonly principal: Principal
  /** Written into audit as the correlation. */
  readonly requestId: string
  /** The presented session or API token; only the session operations need it. */
  readonly token: string
  readonly setCookie: (value: string) => void
  /** The span of the caller, as W3C's header says it; undefined without a header that can be read. */
  readonly traceparent?: string | undefined
  /** The console comes with its cookie, the command line says its name. */
  readonly channel: 'console' | 'cli' | 'api'
  /** The caller has hung up: nobody waits for the answer any more. */
  readonly isGone: () => boolean
}

export type Resource = { readonly type: ResourceType; readonly id: string; readonly attributes?: Facts }

/** One resource, or several: then every one of them must be allowed. */
type Concerned = Resource | readonly Resource[]

/** An operation of the contract with the code that answers it. */
export type Route = {
  readonly operation: Operation
  /** What policy decides on; `<type of the action>:*` when absent. */
  readonly resource?: (input: never, call: Call) => Promise<Concerned> | Concerned
  /** The domain asks policy itself, because only it knows what is at stake. */
  readonly decidedByDomain?: true
  readonly handle: (input: never, call: Call) => Promise<unknown>
}

export function route<O extends Operation>(
  operation: O,
  handle: (input: InputOf<O>, call: Call) => Promise<ResultOf<O>>,
  resource?: (input: InputOf<O>, call: Call) => Promise<Concerned> | Concerned,
): Route {
  return { operation, handle, ...(resource ? { resource } : {}) }
}
