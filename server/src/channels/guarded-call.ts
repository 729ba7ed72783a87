import { lookup as lookUp } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import { callService } from '../core/index.ts'
import { addressRefusal } from '../proxy/index.ts'
import type { Call } from './channel.ts'

type Rule = {
  /** The name may lead to an address that is not public, and plain HTTP will do. */
  readonly allowPrivate: boolean
  readonly caPem?: string | undefined
}

/**
 * Requests to an address that somebody has configured. The address is judged when the name has been looked up, for each connection: a
 * name that leads into one's own network an hour later is refused then.
 */
export function createGuardedCall({ allowPrivate, caPem }: Rule): {
  call: Call
  resolve(host: string): Promise<string>
} {
  const judge = (host: string, address: string): void => {
    const refusal = allowPrivate ? undefined : addressRefusal(address)
    if (refusal !== undefined)
      throw new Error(
        `${host} leads to ${address}, which is ${refusal}: an owner has to allow that for the channel`,
      )
  }

  async function resolve(host: string): Promise<string> {
    const bare = host.replace(/^\[|\]$/g, '')
    const address = isIP(bare) === 0 ? (await lookUp(bare)).address : bare
    judge(host, address)
    return address
  }

  const lookup: LookupFunction = (host, options, answer) => {
    lookUp(host, { all: true, family: options.family ?? 0 })
      .then((found) => {
        for (const { address } of found) judge(host, address)
        const [first] = found
        if (options.all) answer(null, found)
        else answer(null, first?.address ?? '', first?.family)
      })
      .catch((error: unknown) => answer(error instanceof Error ? error : new Error('lookup failed'), '', 0))
  }

  return {
    resolve,
    async call({ url, method = 'POST', headers = {}, body = '', signal }) {
      const { protocol, hostname } = new URL(url)
      if (protocol !== 'https:' && !(protocol === 'http:' && allowPrivate))
        throw new Error(`${hostname} is not addressed by https`)
      const bare = hostname.replace(/^\[|\]$/g, '')
      if (isIP(bare) !== 0) judge(hostname, bare)
      return callService({ url, method, headers, body, caPem, lookup, signal })
    },
  }
}
