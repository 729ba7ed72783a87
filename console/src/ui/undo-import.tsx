import { api } from '@keyward/contract'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { RotateCcw } from 'lucide-react'
import { useState } from 'react'
import { call } from '../api/index.ts'
import { restoredQuery } from '../api/queries.ts'
import { announce } from './announcer.tsx'
import { Button } from './button.tsx'
import { ConfirmDialog } from './confirm-dialog.tsx'
import { Time } from './time.tsx'

/** Puts back the files that a run rewrote: once, and only after a question. Afterwards it says when that was. */
export function UndoImport({ runId }: { runId: string }) {
  const client = useQueryClient()
  const [asking, setAsking] = useState(false)
  const { data: restoredAt } = useQuery(restoredQuery(runId))
  const undo = useMutation({
    mutationFn: () => call(api.findings.undo, { runId }),
    onSuccess: async ({ files }) => {
      setAsking(false)
      announce(files.length === 1 ? 'One file is put back' : `${files.length} files are put back`)
      await client.invalidateQueries({
        predicate: ({ queryKey }) => ['findings', 'audit', 'status'].includes(String(queryKey[0])),
      })
    },
  })
  if (restoredAt) {
    return (
      <p className="inline-flex items-center gap-1.5 text-[0.8125rem] text-muted">
        <RotateCcw size={14} aria-hidden="true" />
        <span>
          files put back <Time at={restoredAt} />
        </span>
      </p>
    )
  }
  return (
    <>
      <Button icon={RotateCcw} onClick={() => setAsking(true)}>
        Put the files back…
      </Button>
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Put the files back?"
        description="Every file that the run rewrote gets its old bytes again, with the secrets in plain text. If one of them was edited since, none is touched. The values stay in the vault too."
        action="Put them back"
        dismiss="Leave them"
        work={undo}
      />
    </>
  )
}
