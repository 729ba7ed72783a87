import { type Change, useAnnouncedChange } from '../../ui/use-announced-change.ts'

export const useTriggerChange = <R>(change: Change<R>) => useAnnouncedChange(change, ['triggers', 'hooks'])
