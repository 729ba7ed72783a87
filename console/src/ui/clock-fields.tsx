import { useQuery } from '@tanstack/react-query'
import { useDeferredValue } from 'react'
import { problemOf } from '../api/index.ts'
import { scheduleTimesQuery } from '../api/schedule-queries.ts'
import { type Clock, cronOf } from './clock.ts'
import { Input, Select } from './field.tsx'
import { moment } from './time.tsx'

type Props<R extends string> = {
  clock: Clock<R>
  /** `own`: as the person writes it. `none`: not by the clock. */
  options: readonly (readonly [rhythm: R, text: string])[]
  onChange: (clock: Clock<R>) => void
}

/** When something is due, with the next times as the server reckons them. */
export function ClockFields<R extends string>({ clock, options, onChange }: Props<R>) {
  const { rhythm, cron, timeZone } = clock
  const byClock = rhythm !== 'none'
  return (
    <>
      <div className="grid gap-4 sm:grid-cols-2">
        <Select
          label="By the clock"
          value={rhythm}
          options={options}
          onChange={(chosen) => onChange({ ...clock, rhythm: chosen })}
        />
        {byClock ? (
          <Input
            label="Time zone"
            required
            value={timeZone}
            onChange={({ target }) => onChange({ ...clock, timeZone: target.value })}
          />
        ) : null}
      </div>
      {rhythm === 'own' ? (
        <Input
          label="Five fields of cron"
          hint="Minute, hour, day of the month, month, day of the week"
          required
          placeholder="30 3 * * 1-5"
          value={cron}
          onChange={({ target }) => onChange({ ...clock, cron: target.value })}
        />
      ) : null}
      {byClock ? <NextTimes cron={cronOf(clock)} timeZone={timeZone.trim()} /> : null}
    </>
  )
}

function NextTimes({ cron, timeZone }: { cron: string; timeZone: string }) {
  const asked = useDeferredValue(`${cron}\n${timeZone}`)
  const [askedCron = '', askedZone = ''] = asked.split('\n')
  const { data, error } = useQuery(scheduleTimesQuery(askedCron, askedZone))
  const problem = error && askedCron !== '' ? problemOf(error) : undefined
  return (
    <div aria-live="polite" className="text-[0.8125rem]">
      {problem ? <p className="text-bad">{problem.detail || problem.title}</p> : null}
      {data && !problem ? (
        <>
          <p className="font-medium">Due next ({data.timeZone})</p>
          <ul className="text-muted tabular-nums">
            {data.items.map((at) => (
              <li key={at}>{moment(at, data.timeZone)}</li>
            ))}
          </ul>
        </>
      ) : null}
    </div>
  )
}
