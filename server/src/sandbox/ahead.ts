import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { AppError } from '../core/index.ts'
import { type Box, openBox, recordFor } from './box.ts'
import { letConnect, makeEgressFolder, takePlace } from './egress-folder.ts'
import type { Waiting } from './pool.ts'
import { noteProcess, openRecord } from './records.ts'
import type { SandboxLimits, SandboxResult, SandboxSpec, SandboxWatch } from './sandbox.ts'
import { runFrom, type Session } from './session.ts'

// A sandbox that is started before its task is known.

/** What it has from its start. */
export type Wish = {
  limits: SandboxLimits
  readOnly: readonly string[]
  hasEgress: boolean
  imageRoot: string | undefined
}

export const wishOf = ({ limits, readOnly = [], egress, image }: SandboxSpec): Wish => ({
  limits,
  readOnly,
  hasEgress: egress !== undefined,
  imageRoot: image?.root,
})

/** The same for all tasks that one sandbox would do for. */
export const kindOf = ({ limits, readOnly, hasEgress, imageRoot }: Wish): string =>
  JSON.stringify([Object.entries(limits).sort(), readOnly, hasEgress, imageRoot ?? null])

export type Ahead = Waiting & {
  /** Brings the task's socket into it. Answers false when that cannot be done: then it is of no use for this task. */
  fit(spec: SandboxSpec): Promise<boolean>
  /** Call it once, after `fit`. */
  run(spec: SandboxSpec, watch: SandboxWatch): Promise<SandboxResult>
}

/** `folder`: where the folders of sockets are made; on the file system that the proxy's sockets are on. */
export async function startAhead(session: Session, folder: string, wish: Wish): Promise<Ahead> {
  const { records, mode, user } = session
  const id = `ahead-${randomUUID()}`
  const record = await recordFor(session, id)
  const egressFolder = wish.hasEgress ? await makeEgressFolder(folder, mode, user) : undefined
  await openRecord(records, id, record)

  async function forget(): Promise<void> {
    if (egressFolder) await rm(egressFolder, { recursive: true, force: true })
    await records.remove(id)
  }

  async function discard(): Promise<void> {
    box.hold(true)
    box.end()
    await box.gone.catch(() => undefined)
    await box.cgroup.remove()
    await forget()
  }

  const box: Box = await openBox(session, id, { ...wish, egressFolder }).catch(async (error: unknown) => {
    await forget()
    throw error
  })
  await noteProcess(records, id, record, box.child)
  try {
    await guestIn(box)
  } catch (error) {
    await discard()
    throw error
  }
  box.hold(false)
  return {
    isAlive: box.isAlive,
    discard,
    async fit({ egress }) {
      if (!egress) return true
      if (egressFolder === undefined || !takePlace(egressFolder, egress.socketPath)) return false
      await letConnect(egress.socketPath, mode, user)
      return true
    },
    async run(spec, watch) {
      let isOpen = false
      async function open(): Promise<Box> {
        box.hold(true)
        // The record of the run names it as well.
        await records.remove(id)
        isOpen = true
        return box
      }
      return runFrom({ record, open }, session, spec, watch).finally(() => (isOpen ? undefined : discard()))
    },
  }
}

/** Waits for the first word of its guest, and leaves it unread: before that not everything is mounted. */
async function guestIn({ control, gone }: Box): Promise<void> {
  const left = gone.then(() => {
    throw new AppError('sandbox.failed', 'A sandbox ended before it had a task.')
  })
  left.catch(() => undefined)
  await Promise.race([new Promise((resolve) => control.once('readable', resolve)), left])
}
