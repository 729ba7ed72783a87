import { api, type FlowView, type RunScheduleView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { flowsQuery } from '../../api/schedule-queries.ts'
import { clockOf, cronOf, localZone, rhythms } from '../../ui/clock.ts'
import { ClockFields } from '../../ui/clock-fields.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { DialogForm } from '../../ui/dialog-form.tsx'
import { Input, Select } from '../../ui/field.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { SchemaInputs } from '../../ui/schema-inputs.tsx'
import { schemaFields, valuesOf, writtenOf } from '../../ui/schema-values.ts'
import { useScheduleChange } from './use-schedule-change.ts'

type Props = { open: boolean; onClose: () => void; schedule?: RunScheduleView }

/** Makes a schedule, or changes one: then its runs are from now on in the name of who changes it. */
export function RunScheduleDialog({ open, onClose, schedule }: Props) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={schedule ? 'Change the schedule' : 'Add a schedule'}
      description="Its runs are yours: what you may do is looked at again at each of its times."
    >
      <Flows schedule={schedule} onClose={onClose} />
    </Dialog>
  )
}

type FlowsProps = { schedule: RunScheduleView | undefined; onClose: () => void }

function Flows({ schedule, onClose }: FlowsProps) {
  const { data, error } = useQuery(flowsQuery)
  if (error) return <Failure error={error} />
  if (!data) return <Skeleton rows={3} label="Loading the flows" />
  const own = data.items.filter(({ name }) => name === schedule?.flow)
  const [first] = schedule ? own : data.items
  if (!first) return <p>There is no flow {schedule?.flow} any more.</p>
  return <Form flows={schedule ? own : data.items} first={first} schedule={schedule} onClose={onClose} />
}

const missedChoices = [
  ['once', 'become one run'],
  ['skip', 'are left out'],
  ['all', 'are made up for, the last 24'],
] as const
const overlapChoices = [
  ['skip', 'nothing is started'],
  ['queue', 'the next time waits'],
  ['allow', 'both run'],
] as const

type FormProps = FlowsProps & { flows: readonly FlowView[]; first: FlowView }

function Form({ flows, first, schedule, onClose }: FormProps) {
  const [flowName, setFlow] = useState(first.name)
  const [title, setTitle] = useState(schedule?.title ?? '')
  const [clock, setClock] = useState(() =>
    schedule
      ? clockOf(schedule.cron, schedule.timeZone)
      : { rhythm: rhythms[2][0], cron: '', timeZone: localZone() },
  )
  const [missed, setMissed] = useState(schedule?.missed ?? 'once')
  const [overlap, setOverlap] = useState(schedule?.overlap ?? 'skip')
  const [written, setWritten] = useState(() => writtenOf(schedule?.input ?? {}))
  const flow = flows.find(({ name }) => name === flowName) ?? first
  const fields = schemaFields(flow.input)
  const input = valuesOf(fields, written)
  const named = title.trim() === '' ? {} : { title: title.trim() }
  const save = useScheduleChange({
    work() {
      const timeZone = clock.timeZone.trim()
      // What has no form stays as it is.
      const given = fields.length > 0 ? { input } : {}
      const wanted = { ...named, ...given, cron: cronOf(clock), timeZone, missed, overlap }
      return schedule
        ? call(api.runSchedules.change, { scheduleId: schedule.id, ...wanted })
        : call(api.runSchedules.create, { flow: flow.name, ...wanted })
    },
    done: schedule ? 'The schedule is changed' : 'The schedule is there',
    onDone: onClose,
  })
  return (
    <DialogForm action={schedule ? 'Change it' : 'Add it'} work={save} onClose={onClose} disabled={!input}>
      <div className="grid gap-4 sm:grid-cols-2">
        <Select
          label="Flow"
          value={flow.name}
          options={flows.map((one) => [one.name, one.title] as const)}
          onChange={setFlow}
        />
        <Input
          label="Title"
          placeholder={flow.title}
          minLength={3}
          value={title}
          onChange={({ target }) => setTitle(target.value)}
        />
      </div>
      <SchemaInputs fields={fields} written={written} onChange={setWritten} />
      <ClockFields clock={clock} options={rhythms} onChange={setClock} />
      <div className="grid gap-4 sm:grid-cols-2">
        <Select label="Missed times" value={missed} options={missedChoices} onChange={setMissed} />
        <Select
          label="While an earlier run goes on"
          value={overlap}
          options={overlapChoices}
          onChange={setOverlap}
        />
      </div>
    </DialogForm>
  )
}
