import { api, type RunDetail } from '@keyward/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Ban, ScrollText } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { runQuery } from '../../api/queries.ts'
import { announce } from '../../ui/announcer.tsx'
import { Button, buttonStyle } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
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
      {active && !stopping ? <CancelRun run={run} /> : null}
      {undoable ? <UndoImport runId={run.id} /> : null}
    </>
  )
}

function CancelRun({ run }: { run: RunDetail }) {
  const client = useQueryClient()
  const [asking, setAsking] = useState(false)
  const cancel = useMutation({
    mutationFn: () => call(api.runs.cancel, { runId: run.id }),
    onSuccess: async (cancelled) => {
      client.setQueryData(runQuery(run.id).queryKey, cancelled)
      setAsking(false)
      announce(cancelled.state === 'Cancelled' ? 'The run is cancelled' : 'The run is being stopped')
      await client.invalidateQueries({ queryKey: ['runs'] })
    },
  })
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
        work={cancel}
      />
    </>
  )
}
