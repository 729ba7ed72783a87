import { api, type GoalView, type ProposalView } from '@keyward/contract'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { ArrowRight, Play } from 'lucide-react'
import { call } from '../../api/index.ts'
import { goalQuery } from '../../api/queries.ts'
import { Actor } from '../../ui/actor.tsx'
import { announce } from '../../ui/announcer.tsx'
import { Badge, goalLook, lookOfRun } from '../../ui/badge.tsx'
import { Button, buttonStyle } from '../../ui/button.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Section, Sheet } from '../../ui/page.tsx'
import { Time } from '../../ui/time.tsx'
import { PlanView } from './plan-view.tsx'

const route = getRouteApi('/runs/goals/$goalId')

export function GoalPage() {
  const { goalId } = route.useParams()
  const { data: goal, error, refetch } = useQuery(goalQuery(goalId))
  if (goal) return <Loaded goal={goal} />
  return (
    <>
      <PageHeader title="Goal" />
      {error ? <Failure error={error} retry={() => void refetch()} /> : <Skeleton label="Loading the goal" />}
    </>
  )
}

function Loaded({ goal }: { goal: GoalView }) {
  const { proposal: wanted } = route.useSearch()
  const shown = goal.proposals.find(({ number }) => number === (wanted ?? goal.chosen)) ?? goal.proposals[0]
  return (
    <>
      <PageHeader title={goal.text}>
        <div className="mt-2 flex flex-wrap items-center gap-x-4 gap-y-1.5 text-[0.8125rem] text-muted">
          <Badge look={goal.outcome ? lookOfRun(goal.outcome, goal.runOutcome) : goalLook[goal.state]} />
          <span>
            wanted by <Actor id={goal.createdBy} /> <Time at={goal.createdAt} />
          </span>
        </div>
      </PageHeader>
      {goal.state === 'unclear' ? <Choices goal={goal} /> : null}
      {goal.runId ? (
        <Link to="/runs/$runId" params={{ runId: goal.runId }} className={`${buttonStyle('solid')} mb-6`}>
          To its run
          <ArrowRight size={15} aria-hidden="true" />
        </Link>
      ) : null}
      {goal.proposals.length > 1 ? <Proposals goal={goal} shown={shown} /> : null}
      {shown ? <Proposal key={shown.number} goal={goal} proposal={shown} /> : null}
    </>
  )
}

/** The words fit several things: one click asks again with words that fit one. */
function Choices({ goal }: { goal: GoalView }) {
  const client = useQueryClient()
  const navigate = useNavigate()
  const propose = useMutation({
    mutationFn: (text: string) => call(api.goals.propose, { text }),
    onSuccess: async (clear) => {
      client.setQueryData(goalQuery(clear.id).queryKey, clear)
      await navigate({ to: '/runs/goals/$goalId', params: { goalId: clear.id } })
    },
  })
  return (
    <Section title="Which of these do you mean?">
      {propose.error ? <Failure error={propose.error} /> : null}
      <Sheet>
        <ul className="divide-y divide-line">
          {goal.choices.map(({ title, text }) => (
            <li key={text} className="flex flex-wrap items-center gap-x-6 gap-y-2 px-5 py-4">
              <div className="min-w-[14rem] flex-1">
                <p className="font-medium">{title}</p>
                <p className="text-[0.8125rem] text-muted">{text}</p>
              </div>
              <Button
                busy={propose.isPending && propose.variables === text}
                disabled={propose.isPending}
                onClick={() => propose.mutate(text)}
              >
                This one
              </Button>
            </li>
          ))}
        </ul>
      </Sheet>
    </Section>
  )
}

function Proposals({ goal, shown }: { goal: GoalView; shown: ProposalView | undefined }) {
  const navigate = route.useNavigate()
  return (
    <fieldset className="mb-5 flex flex-wrap gap-1">
      <legend className="mb-1.5 text-[0.8125rem] text-muted">There are {goal.proposals.length} ways</legend>
      {goal.proposals.map(({ number, title }) => (
        <button
          key={number}
          type="button"
          aria-pressed={number === shown?.number}
          onClick={() => void navigate({ search: { proposal: number }, replace: true, resetScroll: false })}
          className="h-8 rounded-md border border-edge/60 px-3 text-[0.8125rem] hover:bg-hover aria-pressed:border-ink aria-pressed:font-medium"
        >
          {title}
        </button>
      ))}
    </fieldset>
  )
}

function Proposal({ goal, proposal }: { goal: GoalView; proposal: ProposalView }) {
  return (
    <>
      <p className="mb-4 text-muted">
        {proposal.model === null ? (
          'Planned by rules from your words.'
        ) : (
          <>
            Proposed by the language model <strong>{proposal.model}</strong> <Time at={goal.createdAt} />, and
            checked like any plan. Read it with more care: words of a model may mislead.
          </>
        )}
      </p>
      {proposal.problem ? (
        <p className="mb-5 max-w-[46rem] border-l-2 border-brass-mark pl-3 text-pretty break-words">
          It cannot be planned now: {proposal.problem}
        </p>
      ) : null}
      {proposal.plan ? (
        <PlanView
          preview={proposal.plan}
          actions={
            goal.state === 'proposed' ? (
              <Start goalId={goal.id} number={proposal.number} digest={proposal.plan.planDigest} />
            ) : null
          }
        />
      ) : null}
    </>
  )
}

/** Starts the very plan that is on the page: the server makes it again and refuses another one. */
function Start({ goalId, number, digest }: { goalId: string; number: number; digest: string }) {
  const client = useQueryClient()
  const navigate = useNavigate()
  const start = useMutation({
    mutationFn: () => call(api.goals.start, { goalId, proposal: number, digest }),
    onSuccess: async (run) => {
      announce('Started')
      await navigate({ to: '/runs/$runId', params: { runId: run.id } })
    },
    onSettled: () =>
      client.invalidateQueries({
        predicate: ({ queryKey }) => ['goals', 'runs', 'status'].includes(String(queryKey[0])),
      }),
  })
  return (
    <>
      {start.error ? <Failure error={start.error} /> : null}
      <Button tone="solid" icon={Play} busy={start.isPending} onClick={() => start.mutate()}>
        Start exactly this
      </Button>
    </>
  )
}
