import type { Barrier } from '../../barrier/barrier.ts'
import type { Rotation, RotationConfig } from '../../barrier/rotation.ts'
import { formatDuration } from '../../duration.ts'
import type { Answer, Body, PathSpec, WriteHandler } from '../../engine.ts'
import { booleanField, countField, durationField } from '../../fields.ts'
import { givenBy, rekeyOptions } from '../../seal/owner-requests.ts'
import type { Step } from '../../seal/procedure.ts'
import type { Rekey, RekeyTarget } from '../../seal/rekey.ts'

export type RotateNeeds = {
  barrier: Pick<Barrier, 'rotate' | 'terms' | 'encryptions'>
  rotation: Rotation
  rekey: Rekey
}

const flat = (data: Readonly<Record<string, unknown>>): Answer => ({ data, flat: true })

/** Keys that are changed by who has a token for it: `sys/rotate`, `sys/key-status`, and what owners may do with a token too. */
export function rotatePaths({ barrier, rotation, rekey }: RotateNeeds): PathSpec[] {
  return [
    { pattern: 'key-status', read: async () => keyStatus(barrier) },
    ...['rotate', 'rotate/keyring'].map((pattern) => ({
      pattern,
      sudo: true,
      update: rotateKeyRing(barrier),
    })),
    ...['rotate/config', 'rotate/keyring/config'].map((pattern) => configPath(pattern, rotation)),
    {
      pattern: 'rotate/root',
      sudo: true,
      async post() {
        const store = await rekey.changeRootKey()
        return async (tx) => {
          await store(tx)
          return { note: { rotated: 'root key' } }
        }
      },
    },
    ...rekeyPaths(rekey, 'root'),
    ...rekeyPaths(rekey, 'recovery'),
    backupPath(rekey, 'rekey/backup', 'root'),
    backupPath(rekey, 'rekey/recovery-key-backup', 'recovery'),
  ]
}

function keyStatus(barrier: RotateNeeds['barrier']): Answer {
  const newest = barrier.terms().at(-1)
  return flat({
    term: newest?.term,
    install_time: newest?.createdAt.toISOString(),
    encryptions: barrier.encryptions(),
  })
}

const rotateKeyRing =
  (barrier: RotateNeeds['barrier']): WriteHandler =>
  async (tx) => {
    await barrier.rotate(tx)
    return { note: { rotated: true } }
  }

function configPath(pattern: string, rotation: Rotation): PathSpec {
  return {
    pattern,
    sudo: true,
    async read() {
      const { enabled, maxOperations, intervalSeconds } = await rotation.read()
      const interval = intervalSeconds === 0 ? 0 : formatDuration(intervalSeconds)
      return flat({ enabled, interval, max_operations: maxOperations })
    },
    async update(tx, { body }) {
      await rotation.write(tx, rotationChange(body))
      return {}
    },
  }
}

function rotationChange(body: Body): Partial<RotationConfig> {
  const enabled = booleanField(body, 'enabled')
  const maxOperations = countField(body, 'max_operations')
  const intervalSeconds = durationField(body, 'interval')
  return {
    ...(enabled === undefined ? {} : { enabled }),
    ...(maxOperations === undefined ? {} : { maxOperations }),
    ...(intervalSeconds === undefined ? {} : { intervalSeconds }),
  }
}

/** What a step leads to: an answer, or the write that comes before it. */
function afterStep(step: Step): Answer | WriteHandler {
  if ('answer' in step) return { data: step.answer }
  return async (tx) => ({ data: await step.store(tx) })
}

function rekeyPaths(rekey: Rekey, target: RekeyTarget): PathSpec[] {
  const prefix = `rotate/${target}`
  return [
    {
      pattern: `${prefix}/init`,
      sudo: true,
      read: async () => ({ data: rekey.status(target) }),
      async post({ body }) {
        if (target === 'recovery') return afterStep(await rekey.firstRecoveryKey(rekeyOptions(body)))
        await rekey.begin(target, rekeyOptions(body))
        return { data: rekey.status(target) }
      },
      async delete() {
        rekey.cancel(target, '', true)
        return {}
      },
    },
    {
      pattern: `${prefix}/update`,
      sudo: true,
      post: async ({ body }) => afterStep(await rekey.update(target, givenBy(body))),
    },
    {
      pattern: `${prefix}/verify`,
      sudo: true,
      read: async () => ({ data: rekey.verification(target) }),
      post: async ({ body }) => afterStep(await rekey.verify(target, givenBy(body))),
      async delete() {
        rekey.restartVerification(target)
        return { data: rekey.verification(target) }
      },
    },
    backupPath(rekey, `${prefix}/backup`, target),
  ]
}

function backupPath(rekey: Rekey, pattern: string, target: RekeyTarget): PathSpec {
  return {
    pattern,
    sudo: true,
    read: async () => flat(await rekey.backup(target)),
    async delete(tx) {
      await rekey.deleteBackup(tx, target)
      return {}
    },
  }
}
