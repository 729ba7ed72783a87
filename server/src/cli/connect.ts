import { Secret } from '../core/index.ts'
import { refuseClearText, serverAddress } from './address.ts'
import { type Client, createClient } from './client.ts'
import { type Credentials, createCredentials } from './credentials.ts'
import type { Environment } from './places.ts'

type Needs = { env: Environment; version: string; credentials?: Pick<Credentials, 'token'> }

/** A client for the server that was named, with the token that the user has for it. */
export async function connect(
  { env, version, credentials = createCredentials(env) }: Needs,
  options: { address?: string | undefined },
): Promise<Client> {
  const address = serverAddress(env, options.address)
  const token = tokenFromEnvironment(env, address) ?? (await credentials.token(address))
  if (token) refuseClearText(env, address)
  return createClient({ address, token, version })
}

/** VAULT_TOKEN belongs to VAULT_ADDR: it is not shown to another server. */
function tokenFromEnvironment(env: Environment, address: string): Secret | undefined {
  if (env['KEYWARD_TOKEN']) return new Secret(env['KEYWARD_TOKEN'])
  const vault = env['VAULT_ADDR']
  const ours = !vault || (URL.canParse(vault) && new URL(vault).origin === address)
  return env['VAULT_TOKEN'] && ours ? new Secret(env['VAULT_TOKEN']) : undefined
}
