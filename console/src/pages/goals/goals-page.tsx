import { api, type GoalView } from '@keyward/contract'
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { Target } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/index.ts'
import { goalQuery, goalsQuery } from '../../api/queries.ts'
import { Actor } from '../../ui/actor.tsx'
import { Badge, goalLook, lookOfRun } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { Input } from '../../ui/field.tsx'
import { LoadMore } from '../../ui/load-more.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Sheet } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { Time } from '../../ui/time.tsx'
import { runRooms } from '../runs/rooms.ts'

export function GoalsPage() {
  const list = useInfiniteQuery(goalsQuery)
  const goals = list.data?.pages.flatMap(({ items }) => items) ?? []
  return (
    <>
      <PageHeader
        title="Goals"
        lead="Say what you want. Keyward shows the plan first: every step, what it needs, what it risks. Nothing runs before you start it."
      >
        <RoomTabs label="Work" rooms={runRooms} />
      </PageHeader>
      <NewGoal />
      {list.error ? <Failure error={list.error} retry={() => void list.refetch()} /> : null}
      {list.isPending ? <Skeleton label="Loading goals" /> : null}
      {list.data && goals.length === 0 ? <Nothing /> : null}
      {goals.length > 0 ? (
        <Sheet>
          <ul className="divide-y divide-line">
            {goals.map((goal) => (
              <GoalRow key={goal.id} goal={goal} />
            ))}
          </ul>
        </Sheet>
      ) : null}
      <LoadMore more={list} />
    </>
  )
}

const shortest = 3

function NewGoal() {
  const client = useQueryClient()
  const navigate = useNavigate()
  const [text, setText] = useState('')
  const [told, setTold] = useState(false)
  const propose = useMutation({
    mutationFn: () => call(api.goals.propose, { text: text.trim() }),
    onSuccess: async (goal) => {
      client.setQueryData(goalQuery(goal.id).queryKey, goal)
      await navigate({ to: '/runs/goals/$goalId', params: { goalId: goal.id } })
      await client.invalidateQueries({ queryKey: ['goals'] })
    },
  })
  const short = text.trim().length < shortest
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setTold(true)
    if (!short) propose.mutate()
  }
  return (
    <form onSubmit={submit} className="mb-6 flex flex-col gap-3">
      <Sheet className="flex flex-wrap items-end gap-3 p-4">
        <div className="min-w-[16rem] flex-1">
          <Input
            label="What should happen?"
            value={text}
            maxLength={500}
            autoComplete="off"
            placeholder="deploy the feature of pull request 123"
            onChange={({ target }) => setText(target.value)}
            error={told && short ? 'Say it in three characters or more.' : undefined}
          />
        </div>
        <Button tone="solid" type="submit" icon={Target} busy={propose.isPending}>
          Show the plan
        </Button>
      </Sheet>
      {propose.error ? <Failure error={propose.error} /> : null}
    </form>
  )
}

function GoalRow({ goal }: { goal: GoalView }) {
  return (
    <li className="relative flex flex-wrap items-center gap-x-5 gap-y-2 px-4 py-3 first:rounded-t-xl last:rounded-b-xl hover:bg-hover">
      <div className="min-w-0 basis-full md:flex-1 md:basis-0">
        <Link
          to="/runs/goals/$goalId"
          params={{ goalId: goal.id }}
          className="font-medium break-words after:absolute after:inset-0 after:content-['']"
        >
          {goal.text}
        </Link>
        <p className="text-[0.8125rem] text-muted">
          by <Actor id={goal.createdBy} /> <Time at={goal.createdAt} />
        </p>
      </div>
      <Badge look={goal.outcome ? lookOfRun(goal.outcome, goal.runOutcome) : goalLook[goal.state]} />
    </li>
  )
}

function Nothing() {
  return (
    <Empty icon={Target} title="No goal yet">
      <p>
        Try “rotate the keys of …”, “diagnose …” or “deploy the feature of pull request …”. A goal that is not
        understood is refused, with what is known.
      </p>
    </Empty>
  )
}
