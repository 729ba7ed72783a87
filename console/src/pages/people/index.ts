export { FactorsPage } from './factors-page.tsx'
export { PeoplePage } from './people-page.tsx'
