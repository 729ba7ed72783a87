import type { PersonView } from '@keyward/contract'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Plus, UserRound } from 'lucide-react'
import { useState } from 'react'
import { peopleQuery, sessionQuery } from '../../api/queries.ts'
import { Badge, personLook } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { DetailPanel } from '../../ui/detail-panel.tsx'
import { LoadMore } from '../../ui/load-more.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Sheet } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { PersonDetail } from './person-detail.tsx'
import { PersonDialog } from './person-dialog.tsx'
import { peopleRooms } from './rooms.ts'

const route = getRouteApi('/people')

export function PeoplePage() {
  const list = useInfiniteQuery(peopleQuery)
  const { person: wanted } = route.useSearch()
  const navigate = route.useNavigate()
  const [adding, setAdding] = useState(false)
  const people = list.data?.pages.flatMap(({ items }) => items) ?? []
  const selected = people.find(({ id }) => id === wanted)
  const select = (person: string | undefined): void =>
    void navigate({ search: { person }, resetScroll: false })
  const alone = list.data !== undefined && people.filter(({ disabled }) => !disabled).length === 1
  return (
    <>
      <PageHeader
        title="People"
        lead="Who may sign in, what they may do, and with whom they are asked. Nobody approves what they asked for themselves."
        actions={
          <Button tone="solid" icon={Plus} onClick={() => setAdding(true)}>
            Add a person
          </Button>
        }
      >
        <RoomTabs label="People" rooms={peopleRooms} />
      </PageHeader>
      {list.error ? <Failure error={list.error} retry={() => void list.refetch()} /> : null}
      {list.isPending ? <Skeleton label="Loading people" /> : null}
      {people.length > 0 ? (
        <div className="flex gap-5">
          <div className="min-w-0 flex-1">
            <Sheet>
              <ul className="divide-y divide-line">
                {people.map((person) => (
                  <PersonRow
                    key={person.id}
                    person={person}
                    selected={person.id === wanted}
                    onSelect={() => select(person.id)}
                  />
                ))}
              </ul>
            </Sheet>
            {alone ? <Alone /> : null}
            <LoadMore more={list} />
          </div>
          {selected ? (
            <DetailPanel title={selected.name} onClose={() => select(undefined)}>
              <PersonDetail key={`${selected.id} ${selected.disabled}`} person={selected} />
            </DetailPanel>
          ) : null}
        </div>
      ) : null}
      <PersonDialog open={adding} onClose={() => setAdding(false)} />
    </>
  )
}

type RowProps = { person: PersonView; selected: boolean; onSelect: () => void }

function PersonRow({ person, selected, onSelect }: RowProps) {
  const { data: session } = useQuery(sessionQuery)
  const you = session?.principal === `person:${person.id}`
  return (
    <li
      aria-current={selected || undefined}
      className={`relative flex flex-wrap items-center gap-x-5 gap-y-1.5 px-4 py-3.5 first:rounded-t-xl last:rounded-b-xl ${selected ? 'bg-brass-wash' : 'hover:bg-hover'}`}
    >
      <UserRound size={18} className="shrink-0 text-muted" aria-hidden="true" />
      <div className="min-w-[10rem] flex-1">
        <button
          type="button"
          onClick={onSelect}
          className="text-left font-medium after:absolute after:inset-0 after:content-['']"
        >
          {person.name}
        </button>
        {you ? <span className="text-muted"> (you)</span> : null}
        <p className="truncate text-[0.8125rem] text-muted">
          {person.roles.join(', ')}
          {person.groups.length > 0 ? ` · in ${person.groups.join(', ')}` : ''}
        </p>
      </div>
      <Badge look={personLook[person.disabled ? 'closed' : 'active']} />
    </li>
  )
}

function Alone() {
  return (
    <p className="mt-4 max-w-[44rem] text-pretty text-muted">
      There is one account, so it answers its own requests, each recorded as self-approved. From the second
      account on somebody else has to answer.
    </p>
  )
}
