import { type FormEvent, type ReactNode, useState } from 'react'
import { Button } from './button.tsx'
import { Dialog } from './dialog.tsx'
import { TextArea } from './field.tsx'
import { Failure } from './notice.tsx'

const shortestReason = 3

type Props = {
  open: boolean
  onClose: () => void
  title: string
  description: ReactNode
  action: string
  work: { mutate: (reason: string) => void; isPending: boolean; error: unknown }
}

/** Asks whether and why; the reason goes into the audit log. */
export function ReasonDialog({ open, onClose, title, description, action, work }: Props) {
  const [reason, setReason] = useState('')
  const [told, setTold] = useState(false)
  const short = reason.trim().length < shortestReason
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setTold(true)
    if (!short) work.mutate(reason.trim())
  }
  return (
    <Dialog open={open} onClose={onClose} title={title} description={description}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <TextArea
          label="Reason"
          hint="Kept in the audit log with your name."
          value={reason}
          maxLength={500}
          onChange={({ target }) => setReason(target.value)}
          error={told && short ? 'Say it in three characters or more.' : undefined}
        />
        {work.error ? <Failure error={work.error} /> : null}
        <div className="flex justify-end gap-2">
          <Button tone="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button tone="danger" type="submit" busy={work.isPending}>
            {action}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
