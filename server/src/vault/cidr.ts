import { BlockList, isIP } from 'node:net'
import { AppError } from '../core/index.ts'

/** Addresses and CIDR blocks as they are kept: checked, without white space. */
export function checkedCidrs(written: readonly string[], field: string): string[] {
  return written.map((text) => {
    const cidr = text.trim()
    if (!partsOf(cidr))
      throw new AppError(
        'request.invalid',
        `error parsing address "${cidr}": ${field} takes addresses and CIDR blocks`,
      )
    return cidr
  })
}

/** As Vault shows it: a block of one address is that address. */
export const shownCidr = (cidr: string): string => cidr.replace(cidr.includes(':') ? /\/128$/ : /\/32$/, '')

/** Whether an address lies in one of the blocks. An address that is not known lies in none. */
export function containsAddress(cidrs: readonly string[], address: string | undefined): boolean {
  if (cidrs.length === 0) return true
  const clean = plainAddress(address ?? '')
  const version = isIP(clean)
  if (version === 0) return false
  const blocks = new BlockList()
  for (const cidr of cidrs) {
    const parts = partsOf(cidr)
    if (parts) blocks.addSubnet(parts.address, parts.prefix, parts.family)
  }
  return blocks.check(clean, version === 6 ? 'ipv6' : 'ipv4')
}

/** The first block that does not lie wholly in one of `outer`; undefined when all do. */
export function outsideOf(cidrs: readonly string[], outer: readonly string[]): string | undefined {
  if (outer.length === 0) return undefined
  return cidrs.find((cidr) => {
    const inner = partsOf(cidr)
    return !outer.some((block) => {
      const parts = partsOf(block)
      const wider = inner && parts && parts.family === inner.family && parts.prefix <= inner.prefix
      return wider && containsAddress([block], inner.address)
    })
  })
}

type Parts = {
  readonly address: string
  readonly prefix: number
  readonly family: 'ipv4' | 'ipv6'
}

function partsOf(cidr: string): Parts | undefined {
  const [address = '', prefixText, further] = cidr.split('/')
  const version = isIP(address)
  if (version === 0 || address.includes('%') || further !== undefined) return undefined
  const bits = version === 6 ? 128 : 32
  if (prefixText !== undefined && !/^\d{1,3}$/.test(prefixText)) return undefined
  const prefix = prefixText === undefined ? bits : Number(prefixText)
  return prefix <= bits ? { address, prefix, family: version === 6 ? 'ipv6' : 'ipv4' } : undefined
}

/** An IPv4 address as a socket that serves both versions shows it: `::ffff:10.0.0.1`. */
const plainAddress = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '')
