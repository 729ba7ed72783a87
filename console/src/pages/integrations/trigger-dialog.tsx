import { api, type FlowView, type TriggerEvent, type TriggerView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { flowsQuery } from '../../api/schedule-queries.ts'
import { Dialog } from '../../ui/dialog.tsx'
import { DialogForm } from '../../ui/dialog-form.tsx'
import { Check, Input, Select } from '../../ui/field.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { SchemaInputs } from '../../ui/schema-inputs.tsx'
import { type SchemaField, schemaFields, valuesOf } from '../../ui/schema-values.ts'
import { useTriggerChange } from './use-trigger-change.ts'

type Source = { id: string; name: string; isListened: boolean }
type Props = { open: boolean; onClose: () => void; sources?: readonly Source[]; trigger?: TriggerView }

/** Makes a trigger, or changes one: then what it starts is from now on in the name of who changes it. */
export function TriggerDialog({ open, onClose, ...given }: Props) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={given.trigger ? 'Change the trigger' : 'Add a trigger'}
      description="What it starts is yours: what you may do is looked at again each time."
    >
      <Flows {...given} onClose={onClose} />
    </Dialog>
  )
}

type FlowsProps = Omit<Props, 'open'>

function Flows(given: FlowsProps) {
  const { data, error } = useQuery(flowsQuery)
  if (error) return <Failure error={error} />
  return data ? <Form {...given} flows={data.items} /> : <Skeleton rows={3} label="Loading the flows" />
}

const events: readonly (readonly [TriggerEvent, string])[] = [
  ['push', 'Push'],
  ['pull_request', 'Pull request'],
  ['issues', 'Issue'],
  ['release', 'Release'],
  ['check_suite', 'Finished checks'],
]
/** Besides `repository`, `sender` and `action`. */
const fieldsOf: Record<TriggerEvent, string> = {
  push: 'branch or tag, sha',
  pull_request: 'number, branch, base, sha',
  issues: 'number',
  release: 'tag',
  check_suite: 'branch, sha, conclusion',
}
const aGoal = ''
const wordsIn = (text: string): string[] =>
  text
    .split(',')
    .map((word) => word.trim())
    .filter(Boolean)

function inputField(flow: FlowView, event: TriggerEvent): SchemaField {
  const asked = schemaFields(flow.input).map(({ name, required }) =>
    required ? name : `${name} (if wanted)`,
  )
  return {
    name: 'Its input',
    hint: `Asked for: ${asked.join(', ') || 'nothing'}. {"$event": "repository"} stands for that field of the event; others are ${fieldsOf[event]}`,
    required: false,
    kind: 'json',
    choices: [],
    placeholder: '{}',
  }
}

function Form({ flows, sources = [], trigger, onClose }: FlowsProps & { flows: readonly FlowView[] }) {
  const [sourceId, setSource] = useState(
    sources.find(({ isListened }) => isListened)?.id ?? sources[0]?.id ?? '',
  )
  const [event, setEvent] = useState<TriggerEvent>(trigger?.event ?? 'pull_request')
  const [forks, setForks] = useState(trigger?.forks ?? false)
  const [flowName, setFlow] = useState(trigger ? (trigger.flow ?? aGoal) : (flows[0]?.name ?? aGoal))
  const [written, setWritten] = useState<Readonly<Record<string, string>>>(() => ({
    title: trigger?.title ?? '',
    actions: trigger?.actions.join(', ') ?? '',
    branches: trigger?.branches.join(', ') ?? '',
    labels: trigger?.labels.join(', ') ?? '',
    goal: trigger?.goal ?? '',
    'Its input': trigger ? JSON.stringify(trigger.input) : '',
  }))
  const textOf = (name: string): string => written[name]?.trim() ?? ''
  const bound = (name: string) => ({
    value: written[name] ?? '',
    autoComplete: 'off',
    onChange: ({ target }: { target: { value: string } }) => setWritten({ ...written, [name]: target.value }),
  })
  const source = sources.find(({ id }) => id === sourceId)
  const flow = flows.find(({ name }) => name === flowName)
  const fields = flow ? [inputField(flow, event)] : []
  const input = valuesOf(fields, written)
  const save = useTriggerChange({
    work() {
      const told =
        flowName === aGoal ? { goal: textOf('goal') } : { input: Object(input?.['Its input'] ?? {}) }
      const wanted = {
        ...(textOf('title') === '' ? {} : { title: textOf('title') }),
        actions: wordsIn(textOf('actions')),
        branches: wordsIn(textOf('branches')),
        labels: wordsIn(textOf('labels')),
        forks,
        ...told,
      }
      if (trigger) return call(api.triggers.change, { triggerId: trigger.id, ...wanted })
      const repository = textOf('repository')
      const flow = flowName === aGoal ? {} : { flow: flowName }
      return call(api.triggers.create, { connectionId: sourceId, event, repository, ...flow, ...wanted })
    },
    done: trigger ? 'The trigger is changed' : 'The trigger is there',
    onDone: onClose,
  })
  return (
    <DialogForm action={trigger ? 'Change it' : 'Add it'} work={save} onClose={onClose} disabled={!input}>
      {trigger ? null : (
        <div className="grid gap-4 sm:grid-cols-3">
          <Select
            label="Told by"
            hint={source?.isListened === false ? 'Nothing comes before you listen to it' : undefined}
            value={sourceId}
            options={sources.map(({ id, name }) => [id, name] as const)}
            onChange={setSource}
          />
          <Select label="Event" value={event} options={events} onChange={setEvent} />
          <Input
            label="Repository"
            required
            pattern="[A-Za-z0-9_.\-]+/[A-Za-z0-9_.\-]+"
            placeholder="team/shop"
            spellCheck={false}
            {...bound('repository')}
          />
        </div>
      )}
      <div className="grid gap-4 sm:grid-cols-3">
        <Input label="Only when it was" placeholder="opened, labeled" {...bound('actions')} />
        <Input label="Only on branches" placeholder="main, release-*" {...bound('branches')} />
        <Input label="Only with a label" placeholder="deploy" {...bound('labels')} />
      </div>
      <Check checked={forks} onChange={setForks}>
        Pull requests from forks, too: anybody may have written them
      </Check>
      <div className="grid gap-4 sm:grid-cols-2">
        {trigger ? null : (
          <Select
            label="Starts"
            value={flowName}
            options={[
              ...flows.map(({ name, title }) => [name, title] as const),
              [aGoal, 'A goal is proposed'],
            ]}
            onChange={setFlow}
          />
        )}
        <Input label="Title" minLength={3} {...bound('title')} />
      </div>
      {flowName === aGoal ? (
        <Input
          label="Goal"
          hint={`{repository} stands for that field of the event; others are ${fieldsOf[event]}. A person starts the plan`}
          required
          minLength={3}
          {...bound('goal')}
        />
      ) : (
        <SchemaInputs fields={fields} written={written} onChange={setWritten} />
      )}
    </DialogForm>
  )
}
