import type { UseQueryResult } from '@tanstack/react-query'
import { type LucideIcon, Plus } from 'lucide-react'
import { type ComponentProps, type ReactNode, useState } from 'react'
import { Button } from './button.tsx'
import { Command } from './copy.tsx'
import { Empty, Failure, Skeleton } from './notice.tsx'
import { PageHeader, Sheet } from './page.tsx'
import { RoomTabs } from './room-tabs.tsx'

type Props<T> = {
  title: string
  lead: string
  tabs: ComponentProps<typeof RoomTabs>
  query: Pick<UseQueryResult<{ readonly items: readonly T[] }>, 'data' | 'error' | 'isPending' | 'refetch'>
  /** What the button says that opens the dialog. */
  add: string
  dialog: (props: { open: boolean; onClose: () => void }) => ReactNode
  /** What is told while there are none. */
  empty: { icon: LucideIcon; title: string; text: string; command: string }
  line: (item: T) => ReactNode
  children?: ReactNode
}

/** A page that is one list, with a dialog that adds to it. */
export function ListPage<T>({ title, lead, tabs, query, add, dialog, empty, line, children }: Props<T>) {
  const { data, error, isPending, refetch } = query
  const [adding, setAdding] = useState(false)
  const button = (
    <Button tone="solid" icon={Plus} onClick={() => setAdding(true)}>
      {add}
    </Button>
  )
  return (
    <>
      <PageHeader title={title} lead={lead} actions={data && data.items.length > 0 ? button : null}>
        <RoomTabs {...tabs} />
      </PageHeader>
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {isPending ? <Skeleton label={`Loading ${title.toLowerCase()}`} /> : null}
      {data?.items.length === 0 ? (
        <Empty icon={empty.icon} title={empty.title}>
          <p>{empty.text}</p>
          {button}
          <p>or, from a terminal:</p>
          <Command text={empty.command} />
        </Empty>
      ) : null}
      {data && data.items.length > 0 ? (
        <Sheet>
          <ul className="divide-y divide-line">{data.items.map(line)}</ul>
        </Sheet>
      ) : null}
      {children}
      {dialog({ open: adding, onClose: () => setAdding(false) })}
    </>
  )
}
