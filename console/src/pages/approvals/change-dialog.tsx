import { type ApprovalView, api, type Json } from '@keyward/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import { call, problemOf } from '../../api/index.ts'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { TextArea } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'

/** Asks with other arguments instead. What the action does not take is said at the arguments themselves. */
export function ChangeDialog({ approval, onClose }: { approval: ApprovalView; onClose: () => void }) {
  const [text, setText] = useState(() => argumentsOf(approval))
  const [reason, setReason] = useState('')
  const [told, setTold] = useState(false)
  const args = parsed(text)
  const change = useChange(approval, onClose)
  const wrong = change.error && problemOf(change.error)
  const misfits = wrong?.code === 'approval.arguments' ? wrong.detail : undefined
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setTold(true)
    if (args !== undefined && reason.trim().length >= 3) change.mutate({ args, reason: reason.trim() })
  }
  return (
    <Dialog
      open
      onClose={onClose}
      title="Change the arguments"
      description="It is asked anew with these, for the same target and with no other secret. The question before ends."
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        <TextArea
          label="Arguments, as JSON"
          value={text}
          rows={10}
          spellCheck={false}
          autoComplete="off"
          onChange={({ target }) => {
            setText(target.value)
            change.reset()
          }}
          error={told && args === undefined ? 'This is not JSON.' : misfits}
        />
        <TextArea
          label="Reason"
          hint="Kept in the audit log with your name."
          value={reason}
          maxLength={1000}
          onChange={({ target }) => setReason(target.value)}
          error={told && reason.trim().length < 3 ? 'Say it in three characters or more.' : undefined}
        />
        {change.error && misfits === undefined ? <Failure error={change.error} /> : null}
        <div className="flex justify-end gap-2">
          <Button tone="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button tone="solid" type="submit" busy={change.isPending}>
            Ask with these
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

function useChange({ id, digest }: ApprovalView, onDone: () => void) {
  const client = useQueryClient()
  const navigate = useNavigate()
  return useMutation({
    mutationFn: (wanted: { args: Json; reason: string }) =>
      call(api.approvals.change, { approvalId: id, digest, ...wanted }),
    onSuccess: async (next) => {
      onDone()
      announce('It is asked anew; this is the new question')
      await client.invalidateQueries({ queryKey: ['approvals'] })
      await navigate({ to: '/approvals/$approvalId', params: { approvalId: next.id } })
    },
  })
}

function argumentsOf({ subject }: ApprovalView): string {
  const { args }: { args?: Json } = JSON.parse(subject)
  return JSON.stringify(args ?? {}, null, 2)
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
