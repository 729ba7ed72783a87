import { AppError, type Clock, type Log, Secret } from '../../core/index.ts'
import { createAwsKmsWrapper } from './awskms-wrapper.ts'
import type { KeyWrapper, SealKind } from './key-wrapper.ts'
import { createTransitWrapper, type TransitSettings } from './transit-wrapper.ts'

type Environment = Readonly<Record<string, string | undefined>>
type Needs = { clock: Clock; log: Log }

/**
 * The services that the environment tells of, wanted or not: a migration away from a seal needs it once more. The names are
 * those of HashiCorp Vault, so that a server can take over the settings of one; ours come first.
 */
export function sealWrappers(wanted: SealKind | undefined, env: Environment, needs: Needs): KeyWrapper[] {
  const transit = transitSettings(env)
  const awsKms = awsKmsSettings(env)
  if (wanted === 'transit' && !transit)
    throw missing(
      wanted,
      'KEYWARD_SEAL_TRANSIT_ADDR, KEYWARD_SEAL_TRANSIT_KEY_NAME and KEYWARD_SEAL_TRANSIT_TOKEN_FILE',
    )
  if (wanted === 'awskms' && !awsKms) throw missing(wanted, 'KEYWARD_SEAL_AWSKMS_KEY_ID and AWS_REGION')
  return [
    ...(transit ? [createTransitWrapper(transit, needs)] : []),
    ...(awsKms ? [createAwsKmsWrapper(awsKms)] : []),
  ]
}

const missing = (seal: SealKind, names: string): AppError =>
  new AppError('request.invalid', `the seal "${seal}" needs settings in the environment: ${names}`)

function transitSettings(env: Environment): TransitSettings | undefined {
  const of = (...names: string[]): string | undefined => names.map((name) => env[name]).find((value) => value)
  const address = of('KEYWARD_SEAL_TRANSIT_ADDR', 'VAULT_ADDR', 'BAO_ADDR')
  const keyName = of(
    'KEYWARD_SEAL_TRANSIT_KEY_NAME',
    'VAULT_TRANSIT_SEAL_KEY_NAME',
    'BAO_TRANSIT_SEAL_KEY_NAME',
  )
  const file = of('KEYWARD_SEAL_TRANSIT_TOKEN_FILE')
  const token = of('KEYWARD_SEAL_TRANSIT_TOKEN', 'VAULT_TOKEN', 'BAO_TOKEN')
  if (!address || !keyName || !(file || token)) return undefined
  if (of('VAULT_SKIP_VERIFY', 'BAO_SKIP_VERIFY'))
    throw new AppError(
      'request.invalid',
      'a seal by transit without checking the certificate of the other vault is not supported: name its authority in KEYWARD_SEAL_TRANSIT_CA_FILE',
    )
  return {
    address,
    keyName,
    mount: (
      of('KEYWARD_SEAL_TRANSIT_MOUNT_PATH', 'VAULT_TRANSIT_SEAL_MOUNT_PATH', 'BAO_TRANSIT_SEAL_MOUNT_PATH') ??
      'transit'
    ).replace(/^\/+|\/+$/g, ''),
    token: file ? { file } : new Secret(token ?? ''),
    namespace: of('KEYWARD_SEAL_TRANSIT_NAMESPACE', 'VAULT_NAMESPACE'),
    caFile: of('KEYWARD_SEAL_TRANSIT_CA_FILE', 'VAULT_CACERT', 'BAO_CACERT'),
    renewal: !/^(?:1|true)$/i.test(
      of('KEYWARD_SEAL_TRANSIT_DISABLE_RENEWAL', 'VAULT_TRANSIT_SEAL_DISABLE_RENEWAL') ?? '',
    ),
  }
}

function awsKmsSettings(env: Environment) {
  const keyId =
    env['KEYWARD_SEAL_AWSKMS_KEY_ID'] || env['VAULT_AWSKMS_SEAL_KEY_ID'] || env['BAO_AWSKMS_SEAL_KEY_ID']
  const region = env['AWS_REGION'] || env['AWS_DEFAULT_REGION']
  if (!keyId || !region) return undefined
  return {
    keyId,
    region,
    endpoint: env['KEYWARD_SEAL_AWSKMS_ENDPOINT'] || env['AWS_KMS_ENDPOINT'] || undefined,
  }
}
