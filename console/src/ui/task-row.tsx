import type { ReactNode } from 'react'

type Props = {
  task: { readonly id: string; readonly title: string }
  selected: boolean
  onSelect: (id: string) => void
  /** What stands below the title. */
  about: ReactNode
  /** Badges. */
  children: ReactNode
}

/** A task as a line of a list; the whole line opens its details. */
export function TaskRow({ task, selected, onSelect, about, children }: Props) {
  return (
    <li
      aria-current={selected ? 'step' : undefined}
      className="relative flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-3 hover:bg-hover aria-[current]:bg-brass-wash"
    >
      <div className="min-w-0 basis-full sm:flex-1 sm:basis-0">
        <button
          type="button"
          onClick={() => onSelect(task.id)}
          className="text-left font-medium after:absolute after:inset-0 after:content-['']"
        >
          {task.title}
        </button>
        <p className="text-[0.8125rem] break-words text-muted">{about}</p>
      </div>
      {children}
    </li>
  )
}
