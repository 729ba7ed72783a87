export { createImages, type Image, type Images } from './images.ts'
export { imagesMigrations } from './images-store.ts'
