import { type ApprovalGrantView, api, type DelegationView } from '@keyward/contract'
import { type UseMutationOptions, useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query'
import { Plus, UserPlus } from 'lucide-react'
import { type ReactNode, useState } from 'react'
import { call } from '../../api/index.ts'
import { approvalGrantsQuery, delegationsQuery } from '../../api/queries.ts'
import { Actor } from '../../ui/actor.tsx'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { LoadMore } from '../../ui/load-more.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Section, Sheet } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { Countdown, Time } from '../../ui/time.tsx'
import { AheadDialog, DelegateDialog } from './lend-dialogs.tsx'
import { approvalRooms } from './rooms.ts'

/** Rights to answer that people lend each other, and answers that they give ahead. */
export function RightsPage() {
  const delegations = useInfiniteQuery(delegationsQuery)
  const grants = useInfiniteQuery(approvalGrantsQuery)
  const [open, setOpen] = useState<'delegate' | 'ahead'>()
  const close = (): void => setOpen(undefined)
  return (
    <>
      <PageHeader
        title="Lent rights"
        lead="Who may answer in whose right, and what is allowed without asking. Nobody approves their own request by either."
      >
        <RoomTabs label="Approvals" rooms={approvalRooms} />
      </PageHeader>
      <Section title="Somebody else answers">
        <List
          list={delegations}
          none="Nobody answers in another’s right."
          row={(one) => <Lent one={one} />}
        />
        <Button icon={UserPlus} onClick={() => setOpen('delegate')}>
          Let somebody answer for me…
        </Button>
        <DelegateDialog open={open === 'delegate'} onClose={close} />
      </Section>
      <Section title="Answers given ahead">
        <List list={grants} none="Nothing is allowed ahead." row={(one) => <Ahead one={one} />} />
        <Button icon={Plus} onClick={() => setOpen('ahead')}>
          Allow something ahead…
        </Button>
        <AheadDialog open={open === 'ahead'} onClose={close} />
      </Section>
    </>
  )
}

type Listed<T> = {
  data: { pages: { items: T[] }[] } | undefined
  error: unknown
  refetch: () => unknown
} & Parameters<typeof LoadMore>[0]['more']

function List<T extends { id: string }>({
  list,
  none,
  row,
}: {
  list: Listed<T>
  none: string
  row: (one: T) => ReactNode
}) {
  if (list.error) return <Failure error={list.error} retry={() => void list.refetch()} />
  if (!list.data) return <Skeleton rows={2} label="Loading" />
  const items = list.data.pages.flatMap((page) => page.items)
  return (
    <div className="mb-4">
      {items.length === 0 ? (
        <p className="text-muted">{none}</p>
      ) : (
        <Sheet>
          <ul className="divide-y divide-line">
            {items.map((one) => (
              <li
                key={one.id}
                className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2 px-5 py-4"
              >
                {row(one)}
              </li>
            ))}
          </ul>
        </Sheet>
      )}
      <LoadMore more={list} />
    </div>
  )
}

function Lent({ one }: { one: DelegationView }) {
  return (
    <Right
      one={one}
      what={
        <>
          <Actor id={one.to} /> in the right of <Actor id={one.from} />
        </>
      }
      end={() => call(api.delegations.end, { delegationId: one.id })}
    />
  )
}

function Ahead({ one }: { one: ApprovalGrantView }) {
  return (
    <Right
      one={one}
      what={
        <>
          <code>{one.action}</code> on {one.target}, by <Actor id={one.createdBy} />, risk at most{' '}
          {one.maxRisk}
          {Object.keys(one.args).length > 0 ? (
            <code className="block break-all text-muted">{JSON.stringify(one.args)}</code>
          ) : null}
        </>
      }
      end={() => call(api.approvalGrants.end, { grantId: one.id })}
    />
  )
}

type RightProps = {
  one: Pick<DelegationView, 'id' | 'reason' | 'until' | 'endedAt'>
  what: ReactNode
  end: NonNullable<UseMutationOptions['mutationFn']>
}

function Right({ one, what, end }: RightProps) {
  const client = useQueryClient()
  const [asking, setAsking] = useState(false)
  const work = useMutation({
    mutationFn: end,
    onSuccess: () => {
      setAsking(false)
      announce('It has ended')
      return client.invalidateQueries({ queryKey: ['rights'] })
    },
  })
  const live = one.endedAt === null && Date.parse(one.until) > Date.now()
  return (
    <>
      <div className="min-w-[14rem] flex-1">
        <p className="font-medium wrap-anywhere">{what}</p>
        <p className="text-[0.8125rem] text-muted">
          {one.reason} ·{' '}
          {live ? (
            <>
              ends in <Countdown until={one.until} />
            </>
          ) : (
            <>
              over since <Time at={one.endedAt ?? one.until} />
            </>
          )}
        </p>
      </div>
      {live ? (
        <Button size="small" tone="danger" onClick={() => setAsking(true)}>
          End… <span className="sr-only">{one.id}</span>
        </Button>
      ) : null}
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="End it now?"
        description="From now on it is asked as if it had never been. What was answered by it stays."
        action="End it"
        dismiss="Keep it"
        work={{ ...work, mutate: () => work.mutate(undefined) }}
      />
    </>
  )
}
