import { type Change, useAnnouncedChange } from '../../ui/use-announced-change.ts'

/** A change of findings or schedules. */
export const useTriage = <R>(change: Change<R>) =>
  useAnnouncedChange(change, ['findings', 'schedules', 'scans', 'status'])
