import { type FormEvent, type ReactNode, useState } from 'react'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Input } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'

type Props = {
  open: boolean
  onClose: () => void
  title: string
  /** What must be typed to go on. */
  what: string
  action: string
  work: { mutate: () => void; isPending: boolean; error: unknown }
  children: ReactNode
}

/** For what cannot be undone: a person types what it is about. */
export function ConfirmPath({ open, onClose, title, what, action, work, children }: Props) {
  const [typed, setTyped] = useState('')
  const close = (): void => {
    setTyped('')
    onClose()
  }
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (typed === what) work.mutate()
  }
  return (
    <Dialog open={open} onClose={close} title={title} description={children}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <Input
          label={`Type ${what} to confirm`}
          value={typed}
          autoComplete="off"
          spellCheck={false}
          onChange={({ target }) => setTyped(target.value)}
        />
        {work.error ? <Failure error={work.error} /> : null}
        <div className="flex flex-wrap justify-end gap-2">
          <Button tone="quiet" onClick={close}>
            Cancel
          </Button>
          <Button tone="danger" type="submit" disabled={typed !== what} busy={work.isPending}>
            {action}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
