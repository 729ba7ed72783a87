import { type Change, useAnnouncedChange } from '../../ui/use-announced-change.ts'

export const useScheduleChange = <R>(change: Change<R>) => useAnnouncedChange(change, ['schedules', 'runs'])
