import type { TaskView } from '@keyward/contract'
import { Badge, riskLook, taskLook } from '../../ui/badge.tsx'
import { Sheet } from '../../ui/page.tsx'
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
          <li
            key={task.id}
            aria-current={task.id === selected ? 'step' : undefined}
            className="relative flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-3 hover:bg-hover aria-[current]:bg-brass-wash"
          >
            <div className="min-w-0 basis-full sm:flex-1 sm:basis-0">
              <button
                type="button"
                onClick={() => onSelect(task.id)}
                className="text-left font-medium after:absolute after:inset-0 after:content-['']"
              >
                {task.title}
              </button>
              <p className="text-[0.8125rem] text-muted">
                <code>{task.action}</code>
                {task.needs.length > 0
                  ? ` after ${task.needs.map((id) => byId.get(id)?.title ?? id).join(', ')}`
                  : ''}
              </p>
            </div>
            <Badge look={riskLook[task.risk]} bare />
            <Badge look={taskLook[task.state]} />
          </li>
        ))}
      </ol>
    </Sheet>
  )
}
