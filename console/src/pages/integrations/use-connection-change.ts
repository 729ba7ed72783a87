import { type Change, useAnnouncedChange } from '../../ui/use-announced-change.ts'

export const useConnectionChange = <R>(change: Change<R>) =>
  useAnnouncedChange(change, ['connections', 'status'])
