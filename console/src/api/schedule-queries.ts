import { api } from '@keyward/contract'
import { keepPreviousData, queryOptions } from '@tanstack/react-query'
import { call } from './client.ts'

// The first part of a key is the noun: live events invalidate by it (see live.ts).

export const schedulesQuery = queryOptions({
  queryKey: ['schedules'],
  queryFn: ({ signal }) => call(api.schedules.list, {}, signal),
})

export const runSchedulesQuery = queryOptions({
  queryKey: ['schedules', 'runs'],
  queryFn: ({ signal }) => call(api.runSchedules.list, {}, signal),
})

/** When something by this clock would be due next. */
export const scheduleTimesQuery = (cron: string, timeZone: string) =>
  queryOptions({
    queryKey: ['schedules', 'times', cron, timeZone],
    queryFn: ({ signal }) => call(api.runSchedules.times, { cron, timeZone }, signal),
    enabled: cron !== '' && timeZone !== '',
    placeholderData: keepPreviousData,
  })

export const flowsQuery = queryOptions({
  queryKey: ['flows'],
  queryFn: ({ signal }) => call(api.flows.list, {}, signal),
})
