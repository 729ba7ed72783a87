/** The pages about findings, in the order of their tabs. */
export const findingRooms = [
  { to: '/findings', name: 'Secrets found', about: 'What stands where it should not' },
  { to: '/findings/trend', name: 'Trend and folders', about: 'How many there were, and where they stand' },
  { to: '/findings/schedules', name: 'Schedules', about: 'Folders that are scanned again and again' },
] as const
