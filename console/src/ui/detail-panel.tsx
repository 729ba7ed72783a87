import { X } from 'lucide-react'
import { type ReactNode, useSyncExternalStore } from 'react'
import { IconButton } from './button.tsx'
import { SideSheet } from './dialog.tsx'

const wide = '(min-width: 1180px)'

export function useWide(): boolean {
  return useSyncExternalStore(
    (changed) => {
      const query = window.matchMedia(wide)
      query.addEventListener('change', changed)
      return () => query.removeEventListener('change', changed)
    },
    () => window.matchMedia(wide).matches,
  )
}

type Props = { title: string; onClose: () => void; children: ReactNode }

/** What belongs to the selected row: beside the list where there is room, over it where there is not. */
export function DetailPanel({ title, onClose, children }: Props) {
  if (!useWide()) {
    return (
      <SideSheet open onClose={onClose} title={title} side="right">
        <div className="p-4">{children}</div>
      </SideSheet>
    )
  }
  return (
    <aside
      aria-label={title}
      className="sticky top-20 max-h-[calc(100dvh-6.5rem)] w-[25rem] shrink-0 self-start overflow-y-auto rounded-xl border border-line bg-surface"
      onKeyDown={({ key }) => key === 'Escape' && onClose()}
    >
      <div className="flex items-center justify-between gap-2 border-b border-line py-2.5 pr-2.5 pl-4">
        <h2 className="min-w-0 truncate font-semibold" title={title}>
          {title}
        </h2>
        <IconButton icon={X} label="Close the details" onClick={onClose} />
      </div>
      <div className="p-4">{children}</div>
    </aside>
  )
}
