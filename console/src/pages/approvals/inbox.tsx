import type { ApprovalView } from '@keyward/contract'
import { Link } from '@tanstack/react-router'
import { Hourglass, UsersRound } from 'lucide-react'
import { type LiHTMLAttributes, type ReactNode, type Ref, useRef, useState } from 'react'
import { Actor } from '../../ui/actor.tsx'
import { approvalLook, Badge, riskLook } from '../../ui/badge.tsx'
import { Sheet } from '../../ui/page.tsx'
import { type More, useRowsInSight } from '../../ui/rows-in-sight.ts'
import { Countdown, Time } from '../../ui/time.tsx'
import { AnswerMany } from './answer-many.tsx'

const rowHeight = 78
/** As many as the server takes in one answer. */
const most = 100

const isLight = ({ state, risk }: ApprovalView): boolean => state === 'pending' && risk === 'low'

/** Approvals however many there are: only those in sight are drawn, and what is alike and of low risk can be answered at once. */
export function Inbox({ approvals, more }: { approvals: readonly ApprovalView[]; more: More }) {
  const list = useRef<HTMLUListElement>(null)
  const rows = useRowsInSight(list, { count: approvals.length, rowHeight }, more)
  const [chosen, setChosen] = useState<readonly string[]>([])
  const picked = approvals.filter((one) => isLight(one) && chosen.includes(one.id))
  const alike = picked[0] && approvals.filter((one) => isLight(one) && one.action === picked[0]?.action)
  const several = approvals.filter(isLight).length > 1
  const toggle = (id: string): void =>
    setChosen(chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id])
  const size = more.hasNextPage ? -1 : approvals.length
  return (
    <>
      <Sheet>
        <ul ref={list}>
          <Space height={rows.before} />
          {rows.shown.map((index) => {
            const approval = approvals[index]
            if (!approval) return null
            const own = isLight(approval) && (!picked[0] || picked[0].action === approval.action)
            return (
              <ApprovalRow
                key={approval.id}
                approval={approval}
                attributes={{
                  ref: rows.measure,
                  'data-index': index,
                  'aria-setsize': size,
                  'aria-posinset': index + 1,
                }}
                choice={
                  several ? (
                    <Choice
                      label={`Choose ${approval.title} on ${approval.target}`}
                      checked={chosen.includes(approval.id)}
                      offered={own && (picked.length < most || chosen.includes(approval.id))}
                      onToggle={() => toggle(approval.id)}
                    />
                  ) : null
                }
              />
            )
          })}
          <Space height={rows.after} />
        </ul>
      </Sheet>
      {alike ? (
        <AnswerMany
          picked={picked}
          alike={alike.slice(0, most)}
          onPick={(next) => setChosen(next.map(({ id }) => id))}
        />
      ) : null}
    </>
  )
}

function Space({ height }: { height: number }) {
  return height > 0 ? <li aria-hidden="true" style={{ height }} /> : null
}

type ChoiceProps = { label: string; checked: boolean; offered: boolean; onToggle: () => void }

/** As wide as a thumb, above the link that fills its row. Keeps its room where nothing can be chosen. */
function Choice({ label, checked, offered, onToggle }: ChoiceProps) {
  const place = '-m-3 -mr-6 flex size-11 shrink-0 items-center justify-center'
  if (!offered) return <span className={place} />
  return (
    <label className={`relative z-10 ${place}`}>
      <span className="sr-only">{label}</span>
      <input type="checkbox" checked={checked} onChange={onToggle} className="size-4.5 accent-(--solid)" />
    </label>
  )
}

type RowProps = {
  approval: ApprovalView
  /** Stands before it, where several can be chosen. */
  choice: ReactNode
  attributes: LiHTMLAttributes<HTMLLIElement> & { ref: Ref<HTMLLIElement>; 'data-index': number }
}

function ApprovalRow({ approval, choice, attributes }: RowProps) {
  const pending = approval.state === 'pending'
  return (
    <li
      {...attributes}
      className="relative flex flex-wrap items-center gap-x-6 gap-y-2 border-t border-line px-5 py-4 first:rounded-t-xl first:border-t-0 last:rounded-b-xl hover:bg-hover"
    >
      {choice}
      <div className="min-w-[14rem] flex-1">
        <Link
          to="/approvals/$approvalId"
          params={{ approvalId: approval.id }}
          className="font-medium after:absolute after:inset-0 after:content-['']"
        >
          {approval.title}
        </Link>
        <p className="text-[0.8125rem] break-words text-muted">
          {approval.action} on {approval.target}, asked by <Actor id={approval.requestedBy} />{' '}
          <Time at={approval.requestedAt} />
        </p>
      </div>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-1">
        {approval.quorum > 1 ? (
          <span className="inline-flex items-center gap-1.5 text-xs text-muted">
            <UsersRound size={13} aria-hidden="true" />
            {allowedBy(approval)} of {approval.quorum} people
          </span>
        ) : null}
        <Badge look={riskLook[approval.risk]} bare />
        {pending ? (
          <span className="inline-flex items-center gap-1.5 text-xs text-muted">
            <Hourglass size={13} aria-hidden="true" />
            <Countdown until={approval.expiresAt} />
          </span>
        ) : null}
        <Badge look={approvalLook[approval.state]} />
      </div>
    </li>
  )
}

/** How many have allowed it. */
const allowedBy = ({ approvals }: ApprovalView): number =>
  approvals.filter(({ decision }) => decision === 'approved').length
