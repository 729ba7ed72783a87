import type { PlanPreview, TaskPreview } from '@keyward/contract'
import { Hand, RotateCcw } from 'lucide-react'
import { type ReactNode, useState } from 'react'
import { spanText } from '../../ui/amounts.ts'
import { Badge, type Look, riskLook } from '../../ui/badge.tsx'
import { Digest } from '../../ui/copy.tsx'
import { DetailPanel } from '../../ui/detail-panel.tsx'
import { JsonView } from '../../ui/json-view.tsx'
import { type Fact, Facts, Section, Sheet } from '../../ui/page.tsx'
import { TaskRow } from '../../ui/task-row.tsx'
import { RunGraph } from '../runs/run-graph.tsx'

/** A plan before it runs: the picture, and for every task what it acts on, needs and risks. */
export function PlanView({ preview, actions }: { preview: PlanPreview; actions: ReactNode }) {
  const [selected, setSelected] = useState<string>()
  const task = preview.tasks.find(({ id }) => id === selected)
  return (
    <>
      <Sheet className="mb-6 flex flex-wrap items-center justify-between gap-x-8 gap-y-4 p-5">
        <Facts facts={factsOf(preview)} columns={2} />
        <div className="flex flex-col gap-3">{actions}</div>
      </Sheet>
      <div className="flex gap-5">
        <div className="min-w-0 flex-1">
          <Section title="The plan">
            <Sheet className="overflow-hidden">
              <RunGraph
                tasks={preview.tasks}
                lookOf={({ id }) => lookOf(preview.tasks.find((one) => one.id === id))}
                selected={selected}
                onSelect={setSelected}
              />
            </Sheet>
          </Section>
          <Section title="Step by step">
            <Sheet>
              <ol className="divide-y divide-line">
                {preview.tasks.map((one) => (
                  <TaskRow
                    key={one.id}
                    task={one}
                    selected={one.id === selected}
                    onSelect={setSelected}
                    about={<About task={one} />}
                  >
                    {one.gated ? <Badge look={asked} /> : null}
                    <Badge look={riskLook[one.risk]} bare />
                  </TaskRow>
                ))}
              </ol>
            </Sheet>
          </Section>
        </div>
        {task ? (
          <DetailPanel title={task.title} onClose={() => setSelected(undefined)}>
            <TaskPreviewDetail task={task} />
          </DetailPanel>
        ) : null}
      </div>
    </>
  )
}

const About = ({ task: { action, target, expectedSeconds } }: { task: TaskPreview }) => (
  <>
    <code>{action}</code>
    {target ? ` on ${target}` : ''}
    {expectedSeconds === null ? '' : `, usually ${spanText(expectedSeconds)}`}
  </>
)

const asked: Look = { hue: 'wait', icon: Hand, text: 'Asks first' }
const undoable: Look = { hue: 'ok', icon: RotateCcw, text: 'Can be undone' }

const lookOf = (task: TaskPreview | undefined): Look => (task?.gated ? asked : riskLook[task?.risk ?? 'low'])

function factsOf({ plan, planDigest, tasks, expectedSeconds }: PlanPreview): Fact[] {
  const gates = tasks.filter(({ gated }) => gated).length
  const final = tasks.filter(({ reversible }) => !reversible).length
  return [
    ['Plan', plan.title],
    ['Tasks', `${tasks.length}, of which ${gates === 0 ? 'none asks' : `${gates} ask`} a person first`],
    ['Cannot be undone', final === 0 ? 'Nothing' : `${final} of its tasks`],
    [
      'Expected to take',
      expectedSeconds === null ? 'Not known yet' : `${spanText(expectedSeconds)}, without waiting for people`,
    ],
    ['Digest', <Digest key="digest" value={planDigest} what="the digest of the plan" />],
  ]
}

function TaskPreviewDetail({ task }: { task: TaskPreview }) {
  return (
    <div className="flex flex-col gap-5">
      <div className="flex flex-wrap gap-2">
        <Badge look={riskLook[task.risk]} />
        {task.gated ? <Badge look={asked} /> : null}
        {task.reversible ? <Badge look={undoable} /> : null}
      </div>
      <Facts
        facts={[
          ['Action', <code key="action">{task.action}</code>],
          ['Acts on', task.target ?? 'Known when it runs'],
          ...(task.environment ? [['Belongs to', task.environment] satisfies Fact] : []),
          ['Permissions', task.permissions.length > 0 ? task.permissions.join(', ') : 'None'],
          ['Secrets, by name', task.secrets.length > 0 ? task.secrets.join(', ') : 'None'],
          ['Taken back by', task.rollback ?? (task.reversible ? 'Hand' : 'Nothing')],
          ['After a crash', task.idempotent ? 'It simply runs again' : 'What happened is found out first'],
          ['Billed', task.cost ?? 'Nothing known'],
          [
            'Usually takes',
            task.expectedSeconds === null ? 'It has not run before' : spanText(task.expectedSeconds),
          ],
        ]}
      />
      {task.preview === null ? null : (
        <div>
          <h3 className="mb-1.5 text-xs text-muted">What it would do</h3>
          <JsonView value={task.preview} label={`What ${task.title} would do`} />
        </div>
      )}
    </div>
  )
}
