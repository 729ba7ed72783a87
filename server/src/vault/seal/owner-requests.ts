import { AppError, reasonOf, Secret } from '../../core/index.ts'
import type { Store } from '../../store/index.ts'
import type { createAnonymousLog } from '../anonymous-log.ts'
import type { Body } from '../engine.ts'
import { booleanField, countField, listField, parseBody, textField } from '../fields.ts'
import type { VaultRequest, VaultResponse } from '../request-context.ts'
import type { Given, Step } from './procedure.ts'
import type { Rekey, RekeyOptions, RekeyTarget } from './rekey.ts'
import { fromPad, type RootGeneration } from './root-generation.ts'

export type Handler = (request: VaultRequest) => Promise<VaultResponse>
export type Handlers = Readonly<Record<string, Partial<Record<VaultRequest['method'], Handler>>>>

type Needs = {
  store: Pick<Store, 'write'>
  rekey: Rekey
  rootGeneration: RootGeneration
  record: ReturnType<typeof createAnonymousLog>
  /** Whether a token has `sudo` on a path. */
  hasSudo: (token: Secret | undefined, path: string) => Promise<boolean>
}

export const json = (status: number, value: unknown): VaultResponse => ({
  status,
  body: new Secret(`${JSON.stringify(value)}\n`),
})
const nothing: VaultResponse = { status: 204, body: undefined }

/** What owners do with their shares, which are their proof: `sys/rekey/…`, `sys/rekey-recovery-key/…`, `sys/generate-root/…`. */
export function ownerRequests(needs: Needs): Handlers {
  return {
    ...rekeyRequests(needs, 'root', 'sys/rekey/'),
    ...rekeyRequests(needs, 'recovery', 'sys/rekey-recovery-key/'),
    ...rootGenerationRequests(needs, 'sys/generate-root/', (data) => data),
    // OpenBao's newer address, whose answers are in `data`. There it wants a token; here, as before, the shares are the proof.
    ...rootGenerationRequests(needs, 'sys/generate-root-token/', (data) => ({ data })),
    'sys/decode-token': {
      PUT: async (request) => {
        const data = decodeToken(bodyOf(request))
        return json(200, { ...data, data })
      },
    },
  }
}

type Shape = (data: Readonly<Record<string, unknown>>) => unknown

function rootGenerationRequests(needs: Needs, prefix: string, shape: Shape): Handlers {
  const { rootGeneration } = needs
  return {
    [`${prefix}attempt`]: {
      GET: async () => json(200, shape(rootGeneration.status())),
      PUT: recorded(needs, async (request) =>
        json(200, shape(await beginRootGeneration(rootGeneration, bodyOf(request)))),
      ),
      DELETE: recorded(needs, async () => {
        rootGeneration.cancel()
        return nothing
      }),
    },
    [`${prefix}update`]: {
      PUT: given(needs, (share) => rootGeneration.update(share), shape),
    },
  }
}

function rekeyRequests(needs: Needs, target: RekeyTarget, prefix: string): Handlers {
  const { rekey, hasSudo } = needs
  const init: Partial<Record<VaultRequest['method'], Handler>> = {
    GET: async () => json(200, rekey.status(target)),
    PUT: recorded(needs, async (request) => {
      await rekey.begin(target, rekeyOptions(bodyOf(request)))
      return json(200, rekey.status(target))
    }),
    DELETE: recorded(needs, async (request) => {
      const nonce = textField(bodyOf(request), 'nonce') ?? ''
      rekey.cancel(target, nonce, nonce === '' && (await hasSudo(request.token, request.path)))
      return nothing
    }),
  }
  return {
    [`${prefix}init`]: init,
    [`${prefix}update`]: {
      PUT: given(needs, (share) => rekey.update(target, share)),
    },
    [`${prefix}verify`]: {
      GET: async () => json(200, rekey.verification(target)),
      PUT: given(needs, (share) => rekey.verify(target, share)),
      DELETE: recorded(needs, async () => {
        rekey.restartVerification(target)
        return json(200, rekey.verification(target))
      }),
    },
  }
}

const bodyOf = ({ body }: VaultRequest): Body => parseBody(body)

export const givenBy = (body: Body): Given => ({
  key: textField(body, 'key') ?? '',
  nonce: textField(body, 'nonce') ?? '',
})

export const rekeyOptions = (body: Body): RekeyOptions => ({
  shares: countField(body, 'secret_shares') ?? 0,
  threshold: countField(body, 'secret_threshold') ?? 0,
  pgpKeys: listField(body, 'pgp_keys') ?? [],
  backup: booleanField(body, 'backup') ?? false,
  verification: booleanField(body, 'require_verification') ?? false,
})

async function beginRootGeneration(
  rootGeneration: RootGeneration,
  body: Body,
): Promise<Readonly<Record<string, unknown>>> {
  const otp = textField(body, 'otp') ?? ''
  const pgpKey = textField(body, 'pgp_key') ?? ''
  return rootGeneration.status(await rootGeneration.begin({ otp, pgpKey }))
}

function decodeToken(body: Body): { token: string } {
  const encoded = textField(body, 'encoded_token')
  const otp = textField(body, 'otp')
  if (!encoded || !otp) throw new AppError('request.invalid', "provided 'encoded_token' or 'otp' is empty")
  return { token: fromPad(encoded, otp) }
}

/**
 * An owner gives a share. What it completes is stored with its own entry before it is answered; nothing may go wrong after that,
 * or nobody would ever see the new keys.
 */
function given(needs: Needs, take: (share: Given) => Promise<Step>, shape: Shape = (data) => data): Handler {
  return async (request) => {
    const record = recorder(needs, request)
    try {
      const step = await take(givenBy(bodyOf(request)))
      if ('store' in step) return json(200, shape(await needs.store.write(step.store)))
      await record('done')
      return json(200, shape(step.answer))
    } catch (error) {
      await record('failed', error)
      throw error
    }
  }
}

function recorded(needs: Needs, handle: Handler): Handler {
  return async (request) => {
    const record = recorder(needs, request)
    try {
      const response = await handle(request)
      await record('done')
      return response
    } catch (error) {
      await record('failed', error)
      throw error
    }
  }
}

/** No token says who asks, so what is asked is recorded, and how it ended; so many a minute, because anybody can ask. */
function recorder({ record }: Needs, { method, path }: VaultRequest) {
  return (outcome: 'done' | 'failed', error?: unknown): Promise<void> => {
    const operation = method === 'DELETE' ? 'delete' : 'update'
    const reason = error instanceof AppError ? reasonOf(error) : 'internal error'
    return record({
      type: 'vault.request',
      actor: 'anonymous:',
      target: `path:${path}`,
      outcome,
      detail: outcome === 'done' ? { operation } : { operation, reason },
    })
  }
}
