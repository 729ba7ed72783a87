export { FindingsPage } from './findings-page.tsx'
export { ImportPage } from './import-page.tsx'
