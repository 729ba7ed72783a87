import type { ReactNode } from 'react'
import { Button } from './button.tsx'
import { Failure } from './notice.tsx'

type Props = {
  children: ReactNode
  /** What the button says that sends it. */
  action: string
  onClose: () => void
  work: { mutate: () => void; isPending: boolean; error: unknown }
  disabled?: boolean
}

/** What a dialog asks, why it was refused, and the two ways out of it. */
export function DialogForm({ children, action, onClose, work, disabled }: Props) {
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        work.mutate()
      }}
      className="flex flex-col gap-4"
    >
      {children}
      {work.error ? <Failure error={work.error} /> : null}
      <div className="flex justify-end gap-2">
        <Button tone="quiet" onClick={onClose}>
          Cancel
        </Button>
        <Button tone="solid" type="submit" busy={work.isPending} disabled={disabled}>
          {action}
        </Button>
      </div>
    </form>
  )
}
