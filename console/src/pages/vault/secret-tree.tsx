import type { SecretEntry } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { ChevronRight, Folder, FolderOpen, KeyRound } from 'lucide-react'
import { useState } from 'react'
import { secretsQuery } from '../../api/queries.ts'
import { Failure } from '../../ui/notice.tsx'

type Shared = { selected: string | undefined; onSelect: (path: string) => void }

export function SecretTree({ entries, ...shared }: Shared & { entries: readonly SecretEntry[] }) {
  return (
    <ul>
      {entries.map((entry) => (
        <li key={entry.path}>
          {entry.folder ? (
            <FolderNode entry={entry} startsOpen={entries.length === 1} {...shared} />
          ) : (
            <Leaf entry={entry} {...shared} />
          )}
        </li>
      ))}
    </ul>
  )
}

const line = 'flex min-h-8 w-full items-center gap-2 rounded-md px-2 text-left hover:bg-hover'

/** A folder reads its names when it is opened. The way to the selected secret starts open. */
function FolderNode({ entry, startsOpen, ...shared }: Shared & { entry: SecretEntry; startsOpen: boolean }) {
  const [open, setOpen] = useState(startsOpen || (shared.selected?.startsWith(entry.path) ?? false))
  const Icon = open ? FolderOpen : Folder
  return (
    <>
      <button type="button" aria-expanded={open} onClick={() => setOpen(!open)} className={line}>
        <ChevronRight
          size={14}
          className={`shrink-0 text-muted transition-transform ${open ? 'rotate-90' : ''}`}
          aria-hidden="true"
        />
        <Icon size={16} className="shrink-0 text-muted" aria-hidden="true" />
        <span className="min-w-0 break-all">{lastName(entry)}</span>
      </button>
      {open ? (
        <div className="ml-[0.9rem] border-l border-line pl-2">
          <Children path={entry.path} {...shared} />
        </div>
      ) : null}
    </>
  )
}

function Children({ path, ...shared }: Shared & { path: string }) {
  const { data, error, refetch } = useQuery(secretsQuery(path))
  if (error) return <Failure error={error} retry={() => void refetch()} />
  if (!data)
    return (
      <span className="skeleton my-2 ml-2 block h-3 w-32" role="status" aria-label="Loading the folder" />
    )
  if (data.items.length === 0) return <p className="px-2 py-1.5 text-muted">Empty</p>
  return <SecretTree entries={data.items} {...shared} />
}

function Leaf({ entry, selected, onSelect }: Shared & { entry: SecretEntry }) {
  const chosen = entry.path === selected
  return (
    <button
      type="button"
      aria-current={chosen || undefined}
      onClick={() => onSelect(entry.path)}
      className={`${line} aria-[current]:bg-brass-wash aria-[current]:font-medium`}
    >
      <KeyRound
        size={15}
        className={`ml-[1.375rem] shrink-0 ${chosen ? 'text-brass' : 'text-muted'}`}
        aria-hidden="true"
      />
      <span className="min-w-0 break-all">{lastName(entry)}</span>
    </button>
  )
}

function lastName({ name }: SecretEntry): string {
  return name.replace(/\/$/, '').split('/').at(-1) ?? name
}
