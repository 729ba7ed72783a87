import type { SystemStatus } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { ArrowRight, CircleCheck } from 'lucide-react'
import { latestAuditQuery, statusQuery } from '../../api/queries.ts'
import { buttonStyle } from '../../ui/button.tsx'
import { Command } from '../../ui/copy.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Section, Sheet } from '../../ui/page.tsx'
import { Time } from '../../ui/time.tsx'
import { AuditLine } from '../audit/audit-line.tsx'
import { HealthList } from './health-list.tsx'
import { nextSteps, type Step } from './next-steps.ts'

export function OverviewPage() {
  const { data: status, error, refetch } = useQuery(statusQuery)
  return (
    <>
      <PageHeader
        title="Overview"
        lead={
          status ? (
            <>
              Running since <Time at={status.startedAt} />, with {status.audit.seq.toLocaleString()} audit
              entries.
            </>
          ) : null
        }
      />
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {status ? <Body status={status} /> : error ? null : <Skeleton rows={4} label="Loading the status" />}
    </>
  )
}

function Body({ status }: { status: SystemStatus }) {
  const steps = nextSteps(status)
  return (
    <div className="grid gap-x-10 gap-y-8 xl:grid-cols-[minmax(0,1fr)_20rem]">
      <div className="min-w-0">
        <Section title="Next">{steps.length > 0 ? <Steps steps={steps} /> : <AllDone />}</Section>
        <Section title="At a glance">
          <Counts counts={status.counts} />
        </Section>
        <Section
          title="Latest in the audit log"
          aside={
            <Link to="/audit" className="inline-flex min-h-6 items-center gap-1 hover:text-ink">
              All entries <ArrowRight size={14} aria-hidden="true" />
            </Link>
          }
        >
          <Latest />
        </Section>
      </div>
      <Section title="Health">
        <HealthList status={status} />
      </Section>
    </div>
  )
}

function Steps({ steps }: { steps: Step[] }) {
  return (
    <Sheet>
      <ol className="divide-y divide-line">
        {steps.map((step) => (
          <li key={step.id} className="relative flex flex-wrap items-center gap-x-6 gap-y-3 px-5 py-4">
            <span
              aria-hidden="true"
              className={`absolute inset-y-3.5 left-0 w-[3px] rounded-r-full ${step.urgent ? 'bg-brass-mark' : 'bg-line'}`}
            />
            <div className="min-w-[14rem] flex-1">
              <h3 className="font-semibold">{step.title}</h3>
              <p className="text-pretty text-muted">{step.why}</p>
            </div>
            <StepAction step={step} />
          </li>
        ))}
      </ol>
    </Sheet>
  )
}

function StepAction({ step }: { step: Step }) {
  if (step.command) return <Command text={step.command} />
  if (!step.to) return null
  return (
    <Link to={step.to} className={buttonStyle(step.urgent ? 'solid' : 'plain')}>
      {step.link}
      <ArrowRight size={15} aria-hidden="true" />
    </Link>
  )
}

function AllDone() {
  return (
    <Sheet className="flex items-center gap-3 px-5 py-4">
      <CircleCheck size={20} className="text-ok" aria-hidden="true" />
      <div>
        <p className="font-semibold">Nothing waits for you</p>
        <p className="text-muted">New findings and approvals will show up here.</p>
      </div>
    </Sheet>
  )
}

function Counts({ counts }: { counts: SystemStatus['counts'] }) {
  const figures = [
    { name: 'Open findings', value: counts.openFindings, to: '/findings' },
    { name: 'Secrets moved to the vault', value: counts.importedFindings, to: '/vault' },
    { name: 'Pending approvals', value: counts.pendingApprovals, to: '/approvals' },
    { name: 'Active runs', value: counts.activeRuns, to: '/runs' },
    { name: 'Agents', value: counts.agents, to: '/agents' },
    { name: 'Active leases', value: counts.activeLeases, to: '/agents' },
  ] as const
  return (
    <Sheet className="overflow-hidden">
      <ul className="-mr-px -mb-px grid grid-cols-2 sm:grid-cols-3">
        {figures.map(({ name, value, to }) => (
          <li key={name} className="border-r border-b border-line">
            <Link
              to={to}
              className="flex h-full flex-col-reverse justify-end gap-0.5 px-5 py-3.5 -outline-offset-2 hover:bg-hover"
            >
              <span className="text-[0.8125rem] text-muted">{name}</span>
              <span className="text-2xl font-semibold tracking-[-0.02em] tabular-nums">
                {value.toLocaleString()}
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </Sheet>
  )
}

function Latest() {
  const { data, error, refetch } = useQuery(latestAuditQuery)
  if (error) return <Failure error={error} retry={() => void refetch()} />
  if (!data) return <Skeleton rows={4} label="Loading the latest entries" />
  if (data.items.length === 0) return <p className="text-muted">The log is empty.</p>
  return (
    <Sheet>
      <ul className="divide-y divide-line">
        {data.items.map((entry) => (
          <li key={entry.seq}>
            <AuditLine entry={entry} />
          </li>
        ))}
      </ul>
    </Sheet>
  )
}
