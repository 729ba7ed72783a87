import { dirname } from 'node:path'
import type { Clock } from '../core/index.ts'
import { type Box, openBox, type Parts, recordFor } from './box.ts'
import { follow, type Started } from './conversation.ts'
import { writeCertificates } from './egress-folder.ts'
import { guestOrder } from './inside.ts'
import { type NewRecord, noteProcess, openRecord, type Records } from './records.ts'
import type { SandboxResult, SandboxSpec, SandboxWatch } from './sandbox.ts'
import { watchUsage } from './watch.ts'
import { claimTarget } from './workspace.ts'

/** Everything that one run needs from the driver. */
export type Session = Parts & { clock: Clock; records: Records; certificates: string }

/** Where the box of a run comes from: one that is started for it, or one that was started ahead. */
export type Source = { record: NewRecord; open(): Promise<Box> }

/** Runs in a box that is started for this run. */
export async function runSession(
  session: Session,
  spec: SandboxSpec,
  watch: SandboxWatch,
): Promise<SandboxResult> {
  const { limits, readOnly = [], egress, image } = spec
  const egressFolder = egress && dirname(egress.socketPath)
  const shape = { limits, readOnly, egressFolder, imageRoot: image?.root }
  const record = await recordFor(session, spec.id)
  return runFrom({ record, open: () => openBox(session, spec.id, shape) }, session, spec, watch)
}

export async function runFrom(
  { record, open }: Source,
  session: Session,
  spec: SandboxSpec,
  watch: SandboxWatch,
): Promise<SandboxResult> {
  if (typeof spec.workspaceOut === 'string') await claimTarget(spec.workspaceOut)
  await openRecord(session.records, spec.id, record)
  try {
    const { egress } = spec
    if (egress)
      await writeCertificates(dirname(egress.socketPath), `${session.certificates}\n${egress.caPem}`)
    const box = await open()
    return await runIn(box, session, spec, watch, record).finally(() => box.cgroup.remove())
  } finally {
    await session.records.remove(spec.id)
  }
}

async function runIn(
  box: Box,
  session: Session,
  spec: SandboxSpec,
  watch: SandboxWatch,
  record: NewRecord,
): Promise<SandboxResult> {
  const { child, cgroup, control } = box
  const sandbox: Started = {
    channel: { incoming: control, outgoing: control },
    output: box.output,
    gone: box.gone,
    end: box.end,
    watch: (onLimit) =>
      watchUsage({
        clock: session.clock,
        limits: spec.limits,
        cgroup,
        rootPid: child.pid ?? 0,
        mountPoint: session.mountPoint,
        onLimit,
        onUsage: watch.onUsage,
      }),
    usage: () => cgroup.usage(),
  }
  const result = follow({ clock: session.clock, order: guestOrder(spec) }, spec, watch, sandbox)
  const noted = noteProcess(session.records, spec.id, record, child)
  return result.finally(() => noted)
}
