import type { TaskView } from '@keyward/contract'
import { Badge, riskLook, taskLook } from '../../ui/badge.tsx'
import { Sheet } from '../../ui/page.tsx'
import { TaskRow } from '../../ui/task-row.tsx'
import { layersOf } from './layers.ts'

type Props = { tasks: TaskView[]; selected: string | undefined; onSelect: (id: string) => void }

/** The same run as a list in the order in which it can be done. */
export function RunSteps({ tasks, selected, onSelect }: Props) {
  const byId = new Map(tasks.map((task) => [task.id, task]))
  const ordered = layersOf(tasks).flatMap((layer) => layer.flatMap(({ id }) => byId.get(id) ?? []))
  return (
    <Sheet>
      <ol className="divide-y divide-line">
        {ordered.map((task) => (
          <TaskRow
            key={task.id}
            task={task}
            selected={task.id === selected}
            onSelect={onSelect}
            about={
              <>
                <code>{task.action}</code>
                {task.needs.length > 0
                  ? ` after ${task.needs.map((id) => byId.get(id)?.title ?? id).join(', ')}`
                  : ''}
              </>
            }
          >
            <Badge look={riskLook[task.risk]} bare />
            <Badge look={taskLook[task.state]} />
          </TaskRow>
        ))}
      </ol>
    </Sheet>
  )
}
