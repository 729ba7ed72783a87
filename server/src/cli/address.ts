import { AppError } from '../core/index.ts'
import type { Environment } from './places.ts'

const defaultAddress = 'http://127.0.0.1:8200'

/** The server's origin, from `--address` or KEYWARD_ADDRESS. */
export function serverAddress(env: Environment, named?: string): string {
  const text = named ?? (env['KEYWARD_ADDRESS'] || defaultAddress)
  const from = named === undefined ? 'KEYWARD_ADDRESS' : '--address'
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new AppError('request.invalid', `${from} is not an address. Write it like ${defaultAddress}`)
  }
  if (url.username || url.password) {
    throw new AppError('request.invalid', `${from} holds a user name or password. Leave them out`)
  }
  if (url.pathname !== '/' || url.search || url.hash) {
    throw new AppError('request.invalid', `${from} has more than scheme, host and port. Write ${url.origin}`)
  }
  return url.origin
}

/** A token crosses no network in the clear. */
export function refuseClearText(env: Environment, address: string): void {
  const { protocol, hostname } = new URL(address)
  if (protocol === 'https:' || isLoopback(hostname) || env['KEYWARD_ALLOW_CLEARTEXT'] === '1') return
  throw new AppError(
    'request.invalid',
    `${address} is neither https nor this machine, so anyone on the way could read the token. Use https, or set KEYWARD_ALLOW_CLEARTEXT=1 on a network that you trust`,
  )
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
