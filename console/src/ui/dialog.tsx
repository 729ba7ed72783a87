import { Dialog as Base } from '@base-ui/react/dialog'
import { X } from 'lucide-react'
import type { ReactNode } from 'react'
import { IconButton } from './button.tsx'

const backdrop =
  'fixed inset-0 z-40 bg-black/35 transition-opacity duration-150 data-[ending-style]:opacity-0 data-[starting-style]:opacity-0'

type Props = {
  open: boolean
  onClose: () => void
  title: string
  description?: ReactNode
  children: ReactNode
  /** Hidden when the dialog shows something that cannot be shown again. */
  dismissible?: boolean
}

export function Dialog({ open, onClose, title, description, children, dismissible = true }: Props) {
  return (
    <Base.Root open={open} onOpenChange={(next) => !next && onClose()} disablePointerDismissal={!dismissible}>
      <Base.Portal>
        <Base.Backdrop className={backdrop} />
        <Base.Popup className="appear fixed top-[12dvh] left-1/2 z-50 max-h-[80dvh] w-[min(32rem,calc(100vw-2rem))] -translate-x-1/2 overflow-y-auto rounded-xl border border-line bg-surface p-5 shadow-2xl">
          <Base.Title className="pr-10 text-lg font-semibold tracking-[-0.015em]">{title}</Base.Title>
          {description ? (
            <Base.Description render={<div />} className="mt-1.5 text-pretty text-muted">
              {description}
            </Base.Description>
          ) : null}
          {dismissible ? (
            <Base.Close render={<IconButton icon={X} label="Close" />} className="absolute top-4 right-4" />
          ) : null}
          <div className="mt-4">{children}</div>
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  )
}

type SheetProps = {
  open: boolean
  onClose: () => void
  title: string
  side: 'left' | 'right'
  children: ReactNode
}

/** A dialog that slides over one side: the menu and the details on a narrow screen. */
export function SideSheet({ open, onClose, title, side, children }: SheetProps) {
  const place = side === 'left' ? 'left-0 w-[min(18rem,85vw)]' : 'right-0 w-[min(30rem,100vw)]'
  return (
    <Base.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Base.Portal>
        <Base.Backdrop className={backdrop} />
        <Base.Popup className={`appear fixed inset-y-0 z-50 overflow-y-auto bg-surface shadow-2xl ${place}`}>
          <div className="flex items-center justify-between border-b border-line px-4 py-3">
            <Base.Title className="font-semibold">{title}</Base.Title>
            <Base.Close render={<IconButton icon={X} label="Close" />} />
          </div>
          {children}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  )
}
