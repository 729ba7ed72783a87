import type { SecretEntry } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { KeyRound, Plus, SearchX } from 'lucide-react'
import { useDeferredValue, useState } from 'react'
import { secretsQuery } from '../../api/queries.ts'
import { secretSearchQuery } from '../../api/vault-queries.ts'
import { Button } from '../../ui/button.tsx'
import { Command } from '../../ui/copy.tsx'
import { useWide } from '../../ui/detail-panel.tsx'
import { SideSheet } from '../../ui/dialog.tsx'
import { Input } from '../../ui/field.tsx'
import { Empty, Failure } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/page.tsx'
import { SecretEditor } from './secret-editor.tsx'
import { SecretPanel } from './secret-panel.tsx'
import { SecretTree } from './secret-tree.tsx'
import { VaultFrame } from './vault-frame.tsx'

const route = getRouteApi('/vault')

export function VaultPage() {
  const { secret } = route.useSearch()
  const navigate = route.useNavigate()
  const top = useQuery(secretsQuery(''))
  const wide = useWide()
  const [writing, setWriting] = useState(false)
  const [words, setWords] = useState('')
  const sought = useDeferredValue(words.trim())
  const select = (path: string | undefined): void =>
    void navigate({ search: { secret: path }, resetScroll: false })
  const nothing = useNothing(top.data?.items)
  return (
    <VaultFrame
      title="Vault"
      lead="Names, never values. Agents borrow what is here through a placeholder; a person may look at a value, and that is recorded first."
      reading={top}
      actions={
        <Button tone="solid" icon={Plus} onClick={() => setWriting(true)}>
          Write a secret
        </Button>
      }
    >
      {nothing ? <Nothing /> : null}
      {top.data && !nothing ? (
        <div className="grid gap-5 min-[1180px]:grid-cols-[minmax(0,22rem)_minmax(0,1fr)]">
          <Sheet className="self-start p-3">
            <Input
              label="Search in all mounts"
              type="search"
              value={words}
              autoComplete="off"
              spellCheck={false}
              placeholder="Part of a path"
              onChange={({ target }) => setWords(target.value)}
            />
            <div className="mt-3">
              {sought === '' ? (
                <SecretTree entries={top.data.items} selected={secret} onSelect={select} />
              ) : (
                <Found words={sought} selected={secret} onSelect={select} />
              )}
            </div>
          </Sheet>
          {wide ? <Beside path={secret} onGone={() => select(undefined)} /> : null}
        </div>
      ) : null}
      {secret && !wide ? (
        <SideSheet open onClose={() => select(undefined)} title="Secret" side="right">
          <div className="p-4">
            <SecretPanel key={secret} path={secret} onGone={() => select(undefined)} />
          </div>
        </SideSheet>
      ) : null}
      <SecretEditor open={writing} onClose={() => setWriting(false)} onWritten={select} />
    </VaultFrame>
  )
}

/** No mount, or only one with nothing in it: known once the mount has been read. */
function useNothing(mounts: readonly SecretEntry[] | undefined): boolean {
  const only = mounts?.length === 1 ? mounts[0] : undefined
  const inside = useQuery({ ...secretsQuery(only?.path ?? ''), enabled: only !== undefined })
  return mounts?.length === 0 || (only !== undefined && inside.data?.items.length === 0)
}

type FoundProps = { words: string; selected: string | undefined; onSelect: (path: string) => void }

function Found({ words, selected, onSelect }: FoundProps) {
  const { data, error, refetch } = useQuery({
    ...secretSearchQuery(words),
    placeholderData: (before) => before,
  })
  if (error) return <Failure error={error} retry={() => void refetch()} />
  const count = data?.items.length ?? 0
  const told = !data ? 'Searching…' : count === 1 ? 'One secret' : `${count} secrets`
  return (
    <>
      <p role="status" className="px-2 pb-1.5 text-xs text-muted">
        {told}
        {data && !data.complete ? `, and perhaps more: the first ${data.looked} names were looked at` : ''}
      </p>
      <ul className="max-h-[30rem] overflow-y-auto">
        {data?.items.map(({ path }) => (
          <li key={path}>
            <button
              type="button"
              aria-current={path === selected || undefined}
              onClick={() => onSelect(path)}
              className="flex min-h-8 w-full items-center gap-2 rounded-md px-2 py-1 text-left -outline-offset-2 hover:bg-hover aria-[current]:bg-brass-wash aria-[current]:font-medium"
            >
              <KeyRound size={15} className="shrink-0 text-muted" aria-hidden="true" />
              <code className="min-w-0 break-all">{path}</code>
            </button>
          </li>
        ))}
      </ul>
      {data && count === 0 ? (
        <p className="flex items-center gap-2 px-2 py-3 text-muted">
          <SearchX size={16} aria-hidden="true" /> No path has all of these words.
        </p>
      ) : null}
    </>
  )
}

function Beside({ path, onGone }: { path: string | undefined; onGone: () => void }) {
  if (path) {
    return (
      <Sheet className="self-start p-6">
        <SecretPanel key={path} path={path} onGone={onGone} />
      </Sheet>
    )
  }
  return (
    <div className="flex min-h-60 flex-col items-center justify-center gap-3 rounded-xl border border-dashed border-edge/50 text-muted">
      <KeyRound size={22} aria-hidden="true" />
      <p>Choose a secret to see its fields, versions and reference.</p>
    </div>
  )
}

function Nothing() {
  return (
    <Empty icon={KeyRound} title="The vault is empty">
      <p>Import a finding, write a secret here, or with any client of the Vault API:</p>
      <Command text="bao kv put secret/shop/stripe key=-" />
    </Empty>
  )
}
