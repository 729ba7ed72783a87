import type { ReactNode } from 'react'
import { Button } from './button.tsx'
import { Dialog } from './dialog.tsx'
import { Failure } from './notice.tsx'

type Props = {
  open: boolean
  onClose: () => void
  title: string
  description: ReactNode
  action: string
  dismiss: string
  work: { mutate: () => void; isPending: boolean; error: unknown }
}

export function ConfirmDialog({ open, onClose, title, description, action, dismiss, work }: Props) {
  return (
    <Dialog open={open} onClose={onClose} title={title} description={description}>
      {work.error ? <Failure error={work.error} /> : null}
      <div className="mt-4 flex flex-wrap justify-end gap-2">
        <Button tone="quiet" onClick={onClose}>
          {dismiss}
        </Button>
        <Button tone="danger" busy={work.isPending} onClick={() => work.mutate()}>
          {action}
        </Button>
      </div>
    </Dialog>
  )
}
