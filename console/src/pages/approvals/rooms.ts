/** The pages about approvals, in the order of their tabs. */
export const approvalRooms = [
  { to: '/approvals', name: 'Approvals', about: 'What waits for your answer' },
  {
    to: '/approvals/rights',
    name: 'Lent rights',
    about: 'Who answers in whose right, and what is allowed ahead',
  },
] as const
