import { api, type RunDetail } from '@keyward/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Ban, Pause, Play, RotateCw, ScrollText } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { runQuery } from '../../api/queries.ts'
import { announce } from '../../ui/announcer.tsx'
import { Button, buttonStyle } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { Failure } from '../../ui/notice.tsx'
import { UndoImport } from '../../ui/undo-import.tsx'

export function RunActions({ run }: { run: RunDetail }) {
  const active = run.finishedAt === null
  const stopping = active && (run.reason?.startsWith('run.cancelled') ?? false)
  // A run that failed later has rewritten files all the same.
  const undoable =
    !active && run.tasks.some(({ action, state }) => action === 'findings.rewrite' && state === 'Succeeded')
  return (
    <>
      <Link to="/audit" search={{ correlation: run.id }} className={buttonStyle('quiet')}>
        <ScrollText size={16} aria-hidden="true" />
        Its audit trail
      </Link>
      {active && !stopping ? <PauseOrResume run={run} /> : null}
      {run.state === 'Failed' || run.state === 'Cancelled' ? <Retry run={run} /> : null}
      {active && !stopping ? <CancelRun run={run} /> : null}
      {undoable ? <UndoImport runId={run.id} /> : null}
    </>
  )
}

/** A change of one run: what the server answers is shown at once. */
export function useRunChange<V>(
  runId: string,
  work: (input: V) => Promise<RunDetail>,
  said: (run: RunDetail) => string,
) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: work,
    onSuccess: async (run) => {
      client.setQueryData(runQuery(runId).queryKey, run)
      announce(said(run))
      await client.invalidateQueries({ queryKey: ['runs'] })
    },
  })
}

function PauseOrResume({ run }: { run: RunDetail }) {
  const paused = run.state === 'Paused'
  const change = useRunChange(
    run.id,
    () => call(paused ? api.runs.resume : api.runs.pause, { runId: run.id }),
    () => (paused ? 'The run goes on' : 'The run is paused: nothing more begins'),
  )
  return (
    <>
      {change.error ? <Failure error={change.error} /> : null}
      <Button
        icon={paused ? Play : Pause}
        tone={paused ? 'solid' : 'plain'}
        busy={change.isPending}
        onClick={() => change.mutate(undefined)}
      >
        {paused ? 'Go on' : 'Pause'}
      </Button>
    </>
  )
}

function Retry({ run }: { run: RunDetail }) {
  const [asking, setAsking] = useState(false)
  const retry = useRunChange<void>(
    run.id,
    () => call(api.runs.retry, { runId: run.id }),
    () => {
      setAsking(false)
      return 'The run goes on where it ended'
    },
  )
  return (
    <>
      <Button icon={RotateCw} onClick={() => setAsking(true)}>
        Go on from here…
      </Button>
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Go on where this run ended?"
        description="What has succeeded stays as it is. What failed or was cancelled is tried again, and approvals are asked for anew."
        action="Go on"
        dismiss="Leave it"
        work={{ ...retry, mutate: () => retry.mutate() }}
      />
    </>
  )
}

function CancelRun({ run }: { run: RunDetail }) {
  const [asking, setAsking] = useState(false)
  const cancel = useRunChange<void>(
    run.id,
    () => call(api.runs.cancel, { runId: run.id }),
    (cancelled) => {
      setAsking(false)
      return cancelled.state === 'Cancelled' ? 'The run is cancelled' : 'The run is being stopped'
    },
  )
  return (
    <>
      <Button tone="danger" icon={Ban} onClick={() => setAsking(true)}>
        Cancel the run…
      </Button>
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Cancel this run?"
        description="What is done stays done. Tasks that have not started never will, and an approval that waits is withdrawn."
        action="Cancel the run"
        dismiss="Keep it running"
        work={{ ...cancel, mutate: () => cancel.mutate() }}
      />
    </>
  )
}
