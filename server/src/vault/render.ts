import { AppError, Secret } from '../core/index.ts'
import type { Answer, WrapInfo } from './engine.ts'
import type { VaultResponse } from './request-context.ts'

/** Vault's envelope around an answer; nothing found is 404, nothing to say 204. */
export function renderAnswer(answer: Answer | undefined, requestId: string): VaultResponse {
  if (!answer) return failure(404, [])
  const { status = 200 } = answer
  if (answer.errors) return failure(status, answer.errors)
  if (answer.raw) return { status, body: undefined, raw: answer.raw }
  if (answer.whole) return { status, body: answer.whole }
  if (
    !answer.data &&
    !answer.dataText &&
    !answer.auth &&
    !answer.warnings?.length &&
    !answer.wrapped &&
    !answer.lease
  )
    return { status: status === 200 ? 204 : status, body: undefined }
  return { status, body: new Secret(envelope(answer, requestId)) }
}

function envelope({ dataText, data, ...answer }: Answer, requestId: string): string {
  const text = dataText ? dataText.reveal() : jsonOf(data)
  const repeated = answer.flat && data ? `${text.slice(1, -1)}${text.length > 2 ? ',' : ''}` : ''
  return (
    `{${repeated}"request_id":"${answer.wrapped ? '' : requestId}","lease_id":${JSON.stringify(answer.lease?.id ?? '')},` +
    `"renewable":${answer.lease?.renewable ?? false},` +
    `"lease_duration":${answer.leaseSeconds ?? 0},"data":${text},` +
    `"wrap_info":${jsonOf(answer.wrapped && wrapView(answer.wrapped))},` +
    `"warnings":${jsonOf(answer.warnings?.length ? answer.warnings : undefined)},"auth":${jsonOf(answer.auth)}}\n`
  )
}

const jsonOf = (value: object | undefined): string => (value ? JSON.stringify(value) : 'null')

const wrapView = (info: WrapInfo): Record<string, unknown> => ({
  token: info.token.reveal(),
  accessor: info.accessor,
  ttl: info.ttlSeconds,
  creation_time: info.createdAt.toISOString(),
  creation_path: info.creationPath,
  ...(info.wrappedAccessor ? { wrapped_accessor: info.wrappedAccessor } : {}),
})

/** A failure in Vault's words where its clients look for them, in ours elsewhere. */
export function failureOf(error: unknown): VaultResponse {
  if (!(error instanceof AppError)) return failure(500, ['internal error'])
  switch (error.code) {
    case 'vault.sealed':
    case 'vault.uninitialised':
      return failure(503, ['Vault is sealed'])
    case 'token.invalid':
      return failure(403, [error.detail ?? 'permission denied'])
    case 'policy.denied':
      return failure(403, [
        oneError(error.detail ? `permission denied: ${error.detail}` : 'permission denied'),
      ])
    case 'policy.invalid':
      return failure(400, [`failed to parse policy: ${error.detail}`])
    case 'vault.already_initialised':
      return failure(400, ['Vault is already initialized'])
    case 'database.refused':
    case 'database.sign_in':
    case 'database.unreachable':
      return failure(error.status, [oneError(error.detail ?? error.message)])
    default:
      return failure(error.status, [error.detail ?? error.message])
  }
}

/** As Vault wraps what went wrong within it. */
const oneError = (words: string): string => `1 error occurred:\n\t* ${words}\n\n`

function failure(status: number, errors: readonly string[]): VaultResponse {
  return { status, body: new Secret(`${JSON.stringify({ errors })}\n`) }
}
